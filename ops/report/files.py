"""Writes a report's page to its file, whole or not at all."""

from pathlib import Path

from ops.report.gather import Figures
from ops.report.page import page
from ops.whole import write


def written(figures: Figures, file: Path) -> Path:
    """The file, once the page is in it. Its folder is made where it is missing."""
    return write(file, page(figures))
