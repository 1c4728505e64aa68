"""How people write dates and numbers in CSV files: each form, and which of them a whole column has.

A cell in a form is turned into the plain text of the same value (2024-01-31, 1234.5), and read as that.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

FORM = "form"
"""A field's word for how the cells of its column are written, where that is not plain."""
TEXT, DATE, PLAIN = "text", "yyyy-mm-dd", "1234.5"
"""What needs no form: said only to settle a doubt."""
TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
NO_VALUE = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL"})
"""What stands for a missing value where no text is wanted; where text is, only an empty cell does."""

_CLOCK = r"(?:[T ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?))?"
_PADDED = re.compile(r"[-+]?0\d")  # a code, like 00123
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}")  # or one and some thousandths
_LIKE_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(\d{2}|\d{4})([T ].*)?")  # with two digits of the year, a clock with AM, ...
_MOST = 0.9  # of a column's different cells: then the others are worth a word

Standard = Callable[[str], str]


def time_of(cell: str) -> datetime:
    """A time, in UTC where it names no zone.

    Raises:
        ValueError: it is none.
    """
    if not TIME.fullmatch(cell):
        raise ValueError(f"`{cell}` is no time like 2024-01-31T12:00:00Z")
    found = datetime.fromisoformat(cell)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _dates(form: str) -> Standard:
    order = re.findall(r"[a-z]+", form)
    digits = {"dd": r"(\d{1,2})", "mm": r"(\d{1,2})", "yyyy": r"(\d{4})"}
    pattern = re.compile(re.escape(form[len(order[0])]).join(digits[part] for part in order) + _CLOCK)

    def standard(cell: str) -> str:
        if (found := pattern.fullmatch(cell)) is None:
            raise ValueError(f"`{cell}` is no date like {form}")
        part = dict(zip(order, found.groups(), strict=False))
        day = f"{part['yyyy']}-{part['mm']:0>2}-{part['dd']:0>2}"
        clock = found[4]
        return day if clock is None else f"{day} {'0' if clock[1] == ':' else ''}{clock}"

    return standard


def _numbers(form: str) -> Standard:
    group, point = form[1], form[-2]
    pattern = re.compile(rf"[-+]?(0|[1-9]\d{{0,2}}({re.escape(group)}\d{{3}})+|[1-9]\d*)({re.escape(point)}\d+)?")

    def standard(cell: str) -> str:
        if not pattern.fullmatch(cell):
            raise ValueError(f"`{cell}` is no number like {form}")
        return cell.replace(group, "").replace(point, ".")

    return standard


DATES = ("dd.mm.yyyy", "dd/mm/yyyy", "mm/dd/yyyy", "yyyy/mm/dd", "dd-mm-yyyy", "mm-dd-yyyy")
FORMS: Mapping[str, Standard] = {
    **{form: _dates(form) for form in DATES},
    **{form: _numbers(form) for form in ("1.234,5", "1,234.5")},
}
SAID = (*FORMS, DATE, PLAIN, TEXT)
"""What a person may say that a column is."""


def plain(form: str, cell: str) -> str:
    """A cell as the plain text of its value.

    Raises:
        ValueError: it is not written in this form.
    """
    return FORMS[form](cell) if form in FORMS else cell


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a time, in whatever form."""
    return NUMBER.fullmatch(cell) is not None or any(_fits(form, cell) for form in (DATE, *FORMS))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a column was seen to be. `form` is empty where its cells are plain, or text."""

    form: str = ""
    doubt: str = ""  # why it is text although it looks like more
    say: str = ""  # a form that would settle that


def seen(cells: Sequence[str], said: str = "") -> Seen:
    """The form of a column: one in which each cell has a value, and the only one. `said` is taken as it is."""
    there = {cell for cell in cells if cell not in NO_VALUE}
    if said or not there or any(all(_fits(form, cell) for cell in there) for form in (DATE, PLAIN)):
        return Seen(said if said in FORMS else "")
    fitting = [form for form in FORMS if all(_fits(form, cell) for cell in there)]
    if len(fitting) == 1:
        return Seen(fitting[0])
    if fitting:
        doubt = f"`{next(cell for cell in cells if cell in there)}` may be {' or '.join(fitting)}, and no cell of the column decides which"
        return Seen("", doubt, fitting[0])
    if all(_LIKE_DATE.fullmatch(cell) for cell in there):
        first = next(cell for cell in cells if cell in there)
        return Seen("", f"`{first}` looks like a date, and is in none of the forms that are read: {DATE}, {', '.join(DATES)}")
    return _nearly(cells, there)


def _nearly(cells: Sequence[str], there: Collection[str]) -> Seen:
    """A column that a few cells keep from being more than text."""
    for form in (DATE, PLAIN, *FORMS):
        others = _others(form, there)
        if others and not any(_PADDED.match(cell) for cell in others):  # numbers among which some are codes are codes
            count, first = sum(cell in others for cell in cells), next(cell for cell in cells if cell in others)
            return Seen("", f"all but {count} of its cells are like {form}: `{first}` is not")
    return Seen()


def _others(form: str, there: Collection[str]) -> set[str]:
    """The few cells that have no value in a form; none where they are not few."""
    others: set[str] = set()
    for cell in there:
        if not _fits(form, cell):
            others.add(cell)
            if len(others) > (1 - _MOST) * len(there):
                return set()
    return others


def unsure(pointed: Sequence[str]) -> bool:
    """Whether numbers with a point may all be whole thousands, like 1.234."""
    return bool(pointed) and all(_THOUSANDS.fullmatch(cell) for cell in pointed)


def _fits(form: str, cell: str) -> bool:
    if form == PLAIN:
        return NUMBER.fullmatch(cell) is not None and not _PADDED.match(cell)
    try:
        standard = plain(form, cell)
        return (form in FORMS and form[0] == "1") or bool(time_of(standard))
    except ValueError:  # also the 31st of February
        return False
