"""Writes a report's page to its file, whole or not at all."""

from pathlib import Path

from ops.report.gather import Figures
from ops.report.page import page


def written(figures: Figures, file: Path) -> Path:
    """The file, once the page is in it. Its folder is made where it is missing."""
    drawn = page(figures)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(drawn, "utf-8")
    fresh.replace(file)
    return file
