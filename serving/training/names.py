"""The names of the examples' models, apart from what trains them: that takes seconds to import."""

from typing import Final

NAMES: Final = ("arrival-delay", "arrival-delay-lite", "loan-default")
