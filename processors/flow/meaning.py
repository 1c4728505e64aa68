"""Whether two bundles of a version mean the same: what differs in form alone is no other content, or an upgrade would refuse what it reads.

Layout, comments, quotes and the order of keys mean nothing; of a contract neither do `doc` and what else Avro's readers pass over, of a
model's manifest neither do what it learnt from and how well it did. Everything else means what it says: a sentence, a name, a list's order.
"""

import json
from collections.abc import Mapping, Sequence

from processors.flow.yaml import parse
from schemas.contracts import Contract
from schemas.manifest import Manifest

_ABOUT_TRAINING = {"training", "metrics", "groups"}
_LATER_WRITERS = "schemas/registry/"  # ids that came later are found in the project, behind the bundle


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The paths of files whose content means something else now, sorted; each maps `<kind>/<name>` to text."""
    new = {path for path in now.keys() - before.keys() if path.startswith(_LATER_WRITERS)}
    return sorted(path for path in (before.keys() | now.keys()) - new if not same(path, before.get(path), now.get(path)))


def same(path: str, one: str | None, other: str | None) -> bool:
    """Whether two texts of one file mean the same; None is no file."""
    if one is None or other is None or one == other:
        return one == other
    return _meaning(path, one) == _meaning(path, other)


def _meaning(path: str, text: str) -> str:
    """What the text says, in one form; the text itself where it is not what it should be."""
    kind = path.partition("/")[0]
    try:
        if kind == "schemas":
            return Contract.of(json.loads(text)).meaning
        if kind == "models":
            return Manifest.model_validate_json(text).model_dump_json(exclude=_ABOUT_TRAINING)
    except (ValueError, RecursionError):
        return text
    page = parse(path, text)
    return text if page.problems else json.dumps(page.data, sort_keys=True)
