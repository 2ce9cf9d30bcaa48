"""What tables by planned visit have in common."""

from collections import defaultdict
from collections.abc import Iterable

from fhiradapter.reports.formats import MINUS, plain
from fhiradapter.reports.wording import sentence

UNPLACED = (
    "A visit has at most one value of a subject: the one nearest to the planned day, of two equally near the "
    "earlier. Values that stand for no visit are counted among the flags."
)

SHORT = 16  # characters


def visit_name(name: str) -> str:
    """Return a visit's label; a short one stays on one line."""
    shown = plain(name)
    return shown.replace(" ", "\N{NO-BREAK SPACE}") if len(shown) <= SHORT else shown


def window(day: int, early: int, late: int) -> str:
    """Return a planned day with the days that a value may be early or late.

    >>> window(91, 14, 14), window(42, 13, 14), window(-28, 0, 0)
    ('91 ± 14', '42 (−13 to +14)', '−28')
    """
    shown = str(day).replace("-", MINUS)
    if early == late:
        return f"{shown} ± {late}" if late else shown
    return f"{shown} ({MINUS}{early} to +{late})"


def why_not(notes: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """Return a remark for each reason that visits have no estimate or interval.

    >>> why_not([("Month 1", "no value"), ("Month 3", None), ("Month 6", "no value")])
    ('Month 1, Month 6: no value.',)
    """
    labels: dict[str, list[str]] = defaultdict(list)
    for label, note in notes:
        if note is not None:
            labels[note].append(plain(label))
    return tuple(sentence(f"{', '.join(own)}: {note}") for note, own in labels.items())
