"""The runbooks' commands: all exist with these words."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.test_readme import parsed

PAGES = sorted((Path(__file__).parents[2] / "docs" / "runbooks").glob("*.md"))


def commands() -> list[str]:
    """Each once."""
    blocks = [block for page in PAGES for block in re.findall(r"^ *```\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)]
    return sorted({line.strip() for block in blocks for line in block.splitlines() if line.strip()})


@pytest.mark.parametrize("line", commands())
def test_a_command_of_a_runbook_parses(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "weft"
    parsed(words[1:])


def test_the_runbooks_run_something() -> None:
    assert len(commands()) > 20
