"""Writes a file whole or not at all."""

from pathlib import Path
from secrets import token_hex


def write(file: Path, text: str) -> Path:
    """The file, once the text is in it. Its folder is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{token_hex(8)}")
    try:
        with fresh.open("x", encoding="utf-8") as opened:  # a new file, or none: what lies there already, a link say, is never written to
            opened.write(text)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    return file
