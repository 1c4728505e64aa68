"""The independent verifier of whole trees proves what a lane writes, and finds each thing that does not hold."""

from collections.abc import Sequence

import pytest

from schemas.positions import Source
from tests.contract import whole_trees
from tests.contract.ledger_world import TOPICS, World


async def written(world: World, topic: str, partitions: int) -> list[bytes]:
    """What stands in a topic."""
    found = [part for p in range(partitions) async for part in world.reader.read(Source(topic, p))]
    return [value or b"" for part in found for value in part.values]


async def told() -> tuple[list[bytes], list[bytes], Sequence[str]]:
    """Blocks, signed heads and keys of a flow of 50 events in two partitions."""
    world = World()
    for partition in range(2):
        rows = world.produce(partition, 25)
        for start, end in ((0, 3), (3, 20), (20, 25)):
            world.settle(rows[start:end])
            await world.signer.flush()
    keys = [str(world.key.verifier(f"weft/delays/flights/{partition}")) for partition in range(2)]
    return await written(world, TOPICS.ledger, 2), await written(world, TOPICS.checkpoints, 1), keys


async def test_whole_trees_are_proven_with_every_signed_head() -> None:
    blocks, heads, keys = await told()
    whole = whole_trees.verify(blocks, heads, keys)
    assert [(tree.size, tree.next, tree.signed) for tree in whole.trees.values()] == [(25, 25, 25)] * 2
    assert whole.heads == 6
    assert [leaf["position"] for leaf in whole.leaves] == [["flights", p, n] for p in range(2) for n in range(25)]


async def test_what_does_not_hold_is_found() -> None:
    blocks, heads, keys = await told()
    other, forked, _ = await told()
    for wrong in (blocks[1:], [blocks[0], *blocks[2:]], blocks[:-1], [blocks[0], *blocks], [blocks[0], other[1], *blocks[2:]]):
        with pytest.raises(ValueError, match=r"."):
            whole_trees.verify(wrong, heads, keys)
    for wrong in ([*heads, forked[0]], [heads[0].replace(b"\n3\n", b"\n4\n"), *heads[1:]]):
        with pytest.raises(Exception, match=r"|."):
            whole_trees.verify(blocks, wrong, keys)
