"""Bytes and headers as a person may read them."""

from collections.abc import Iterable, Mapping
from typing import Any

from ops.daily.desk import Reading
from processors.step import Headers

HEX_BYTES = 512
WIDTH = 16


def text(raw: bytes | None) -> str:
    """UTF-8 as it is, control characters escaped, other bytes as hex; null as `null`."""
    if raw is None:
        return "null"
    try:
        found = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    return found if found.isprintable() else repr(found)[1:-1]


def headers(pairs: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Headers by name; of several with one name the last."""
    return {name: text(value) for name, value in pairs}


def hexdump(raw: bytes, limit: int = HEX_BYTES) -> list[str]:
    """Lines of offset, bytes and what is printable."""
    lines = []
    for at in range(0, min(len(raw), limit), WIDTH):
        part = raw[at : min(at + WIDTH, limit)]
        printable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<{3 * WIDTH}} {printable}")
    if len(raw) > limit:
        lines.append(f"... {len(raw) - limit:,} more bytes")
    return lines


def decoded(read: Reading, value: bytes | None, own: Headers = ()) -> tuple[Mapping[str, Any] | None, str]:
    """A value's columns, or None and why they can't be read."""
    if value is None:
        return None, "the value is null"
    try:
        return read(value, own), ""
    except ValueError as error:
        return None, str(error)


def columns(row: Mapping[str, Any]) -> str:
    """Columns on one line."""
    return ", ".join(f"{name}={value}" for name, value in row.items())
