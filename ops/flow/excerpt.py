"""Shows a mistake with the line it stands in and a caret under its place."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from processors.flow.plan import Mistake
from processors.flow.project import Project

WIDTH = 110


def shown(mistake: Mistake, lines: Sequence[str]) -> Text:
    """The mistake as a person reads it."""
    text = Text()
    text.append(f"{mistake.file}:{mistake.line}:{mistake.column}", style="bold")
    text.append(f"  {mistake.sentence}\n")
    if 0 < mistake.line <= len(lines):
        line = lines[mistake.line - 1].replace("\t", " ").rstrip()
        cut = max(0, mistake.column - WIDTH // 2) if len(line) > WIDTH else 0
        text.append(f"{mistake.line:>5} | ", style="dim").append(line[cut : cut + WIDTH] + "\n")
        text.append("      | " + " " * (mistake.column - 1 - cut), style="dim").append("^", style="bold red")
        text.append(f" {mistake.hint}\n" if mistake.hint else "\n", style="yellow")
    elif mistake.hint:
        text.append(f"        {mistake.hint}\n", style="yellow")
    return text


def lines_of(file: str, project: Project) -> Sequence[str]:
    """The lines of a file that a mistake names; none where it can't be read any more."""
    try:
        return Path(file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        kind, _, name = file.partition("/")
        found = project.read(kind, name) if kind in ("flows", "rules", "policies") else None  # type: ignore[arg-type]
        return found.text.splitlines() if found else ()
