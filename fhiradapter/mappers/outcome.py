"""What mapping one resource gives: rows and notes, or a refusal."""

from typing import Any, NamedTuple

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.reasons import Reason

NAMELESS = "~"  # begins the name that rows of a resource without an id get
PROVENANCE = 11  # the columns of `Row`, which the kernel fills

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(schema.names[PROVENANCE:]) for table, schema in SCHEMAS.items()
}
_POSITIONS = {table: {name: index for index, name in enumerate(names)} for table, names in COLUMNS.items()}


class Note(NamedTuple):
    """Something about one element that a person should know; becomes an issue."""

    reason: Reason
    path: str | None = None
    detail: str | None = None


# A row without the columns of provenance: its table, what follows the resource in its id ('' or
# '#component-1'), and its values in the order of the model.
TableRow = tuple[str, str, tuple[Any, ...]]


class Mapped(NamedTuple):
    """Rows and notes of one resource."""

    subject: str | None
    rows: list[TableRow]
    notes: list[Note]
    members: tuple[str, ...] = ()
    """Resources ('Observation/7') that are members of this one."""


class Unusable(Exception):  # noqa: N818 - not an error of the program: the resource's own fault, or a policy
    """The resource is quarantined or ignored, as its reason says."""

    def __init__(self, reason: Reason, path: str | None = None, detail: str | None = None) -> None:
        super().__init__(reason)
        self.note = Note(reason, path, detail)


class Deferred(Exception):  # noqa: N818 - asks for another try
    """It refers to a resource that was not seen yet; try again when everything was read."""


def row(table: str, part: str = "", /, **values: Any) -> TableRow:
    """Make a row from columns by name; the others are null.

    >>> row("encounters", status="finished")[2][2]
    'finished'
    """
    cells: list[Any] = [None] * len(COLUMNS[table])
    positions = _POSITIONS[table]
    for name, value in values.items():
        cells[positions[name]] = value
    return table, part, tuple(cells)
