"""Which expectations there are and what they take: `expectations.json`, made from Great Expectations by `python -m ops.quality.known`."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("expectations.json")

Arguments = Mapping[str, Mapping[str, Any]]
"""By name: what it `is` (a kind), whether it is `needed`, and `of` which words it is one."""


@lru_cache(maxsize=1)
def known() -> Mapping[str, Arguments]:
    """Per type of expectation its arguments."""
    found: Mapping[str, Arguments] = json.loads(FILE.read_text("utf-8"))
    return found
