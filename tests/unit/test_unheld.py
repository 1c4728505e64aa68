"""What a member of a group says that it holds is read as Kafka's consumer protocol has it."""

import pytest

from connectors.kafka.unheld import assigned
from schemas.positions import Source

TWO = b"\0\1" + b"\0\0\0\2" + b"\0\2in" + b"\0\0\0\2\0\0\0\0\0\0\0\3" + b"\0\4in.b" + b"\0\0\0\1\0\0\0\7" + b"\xff\xff\xff\xff"


def test_topics_and_partitions_are_read() -> None:
    assert list(assigned(TWO)) == [Source("in", 0), Source("in", 3), Source("in.b", 7)]


def test_who_holds_nothing_has_an_empty_assignment_or_none() -> None:
    assert list(assigned(b"")) == []
    assert list(assigned(b"\0\1\0\0\0\0\xff\xff\xff\xff")) == []


@pytest.mark.parametrize("size", range(1, 31))
def test_an_assignment_that_is_cut_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(assigned(TWO[:size]))
