"""The README's commands: all exist with these words, the cheap ones are run; every link leads somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from ops.cli.main import app, run
from schemas.vocabulary import Exit
from tests.models import trained

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CHEAP = ("flow list", "flow check", "flow show", "flow test", "models list")


def commands() -> list[list[str]]:
    """Every line of a block that begins with weft, without its comment."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines() if line.startswith("weft ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_parses(words: list[str]) -> None:
    parsed(words)


def test_a_command_that_is_not_there_does_not_parse() -> None:
    for words in (["produc", "departure-delays"], ["produce", "departure-delays", "--hostil"], ["audit", "verfy", "departure-delays"]):
        with pytest.raises(typer.TyperException):
            parsed(words)


def on_pages() -> list[tuple[str, list[list[str]]]]:
    """Of each block of each page the commands of weft, whatever else stands on their lines."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            lines = [part for line in block.splitlines() for part in re.split(r"&&|\|\|?|[<>]", line.partition(" # ")[0])]
            words = [shlex.split(part)[1:] for line in lines if (part := line.strip().removeprefix("$ ")).startswith("weft ")]
            found.append((page.name, words))
    return found


def test_every_command_on_every_page_parses() -> None:
    wrong = []
    for page, block in on_pages():
        for words in block:
            try:
                parsed(words)
            except (typer.TyperException, typer.Exit) as error:
                wrong.append(f"{page}: weft {' '.join(words)}: {error}")
    assert not wrong, "\n".join(wrong)
    assert sum(len(block) for _, block in on_pages()) > 100


def test_no_page_sends_events_to_a_flow_that_it_has_not_applied() -> None:
    for page, block in on_pages():
        applied: set[str] = set()
        for words in block:
            if "up" not in [one[0] for one in block if one]:
                continue  # a page that shows a command alone
            if words[:2] == ["flow", "apply"] or words[:1] == ["run"]:
                applied.add(words[2 if words[0] == "flow" else 1])
            assert words[:1] != ["produce"] or words[1] in applied, f"{page}: weft {' '.join(words)}"


def parsed(words: list[str]) -> None:
    """Go down the groups to the command, as the command line does, and run nothing."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "resolve_command"):
        context = command.make_context("weft", list(words))
        _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context("weft", list(words))


@pytest.mark.parametrize("words", [words for words in commands() if " ".join(words[:2]) in CHEAP], ids=" ".join)
def test_a_cheap_command_of_the_readme_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    assert run(words) == Exit.DONE, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_readme_runs_something() -> None:
    assert len(commands()) > 10
    assert sum(" ".join(words[:2]) in CHEAP for words in commands()) == len(CHEAP)


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
