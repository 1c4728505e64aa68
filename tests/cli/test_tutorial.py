"""The tutorial as a newcomer reads it: its blocks, in order, in an empty folder, on a stack of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.warm import program

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
PROGRAMS = Path(sys.executable).parent
SAID = (
    "delays@1.0.0 has no mistakes",
    "14 events: 12 result, 2 dead-letter",
    "4,000 events are on delays-events",
    "rows to do",  # how many, is a race with the worker
    "the event ended as result",
    "5 trees",
    "so much changes",
    "generation 1 ended as result",
    "all 12 laws are kept",
    "delays@1.2.0 is applied.",
    "delays: 0 results were sent; 0 had arrived before.",
    "delays is drained and has ended",
)
MARK = "+++ {} +++"
SHELL_S = 240


class Block(NamedTuple):
    """One block of the page."""

    file: str  # what it is written to; empty for commands
    text: str


def blocks() -> Iterator[Block]:
    """What is to be run or written, in order. Blocks of output are neither."""
    for file, kind, text in re.findall(r"(?:<!-- file: (\S+) -->\n)?^```(\w+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if kind == "sh" or file:
            yield Block(file, text)


def script() -> str:
    """All of the page as one shell script, that stops where a command fails and says which block it is at."""
    lines = ["set -e -o pipefail"]
    for number, block in enumerate(blocks()):
        lines.append(f"echo '{MARK.format(number)}'")
        lines.append(f"cat > {block.file} << 'END OF FILE'\n{block.text}END OF FILE" if block.file else block.text)
    return "\n".join(lines)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who has only done the set-up. The `weft` in it is the real one, started quickly."""
    at = tmp_path / "warm"
    program(tmp_path / "bin", at)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
    environment = clean | {"PATH": f"{tmp_path / 'bin'}:{PROGRAMS}:{os.environ['PATH']}"}
    server = subprocess.Popen([sys.executable, "-m", "tests.warm", at], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield environment
    finally:
        server.kill()
        server.wait()
        for project in tmp_path.glob("work/*/weft.toml"):
            down = [str(PROGRAMS / "weft"), "down", "--wipe", "--yes"]
            subprocess.run(down, cwd=project.parent, env=clean, capture_output=True, check=False)


@pytest.mark.slow
def test_every_command_of_the_tutorial_does_what_the_page_says(newcomer: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(["bash", "-c", script()], cwd=work, env=newcomer, capture_output=True, text=True, timeout=SHELL_S, check=False)
    logs = "\n".join(f"{file}: {file.read_text()[-1_500:]}" for file in work.glob("*/.weft/run/*/*.log"))
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}\n{logs}"
    for sentence in SAID:
        assert sentence in done.stdout, sentence
    assert "Traceback" not in done.stdout + done.stderr
    shown = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert {plain(line) for text in shown for line in text.splitlines()} <= {plain(line) for line in done.stdout.splitlines()}


def plain(line: str) -> str:
    """Without figures and the width of columns."""
    return re.sub(r"[\d.,]+", "#", " ".join(line.split()))


def test_the_page_has_commands_and_a_plugin() -> None:
    found = list(blocks())
    assert sum("weft " in block.text for block in found) >= 10
    assert [block.file for block in found if block.file] == ["plugins/steps/hours.py"]
