"""Regular persons: columns of Patients whose record says nothing odd.

Sex and what else has few values comes from rows that the mapper of single Patients made; dates come from the
memory of the reader of dates.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.dates import NEVER, Moment
from fhiradapter.mappers.candidates import Candidates, RegularRows
from fhiradapter.mappers.context import ALONE, Context
from fhiradapter.mappers.outcome import NAMELESS, PROVENANCE
from fhiradapter.mappers.patient import is_before, learn_identifiers, map_patient

TABLE, KIND = "subjects", "Patient"
PARTS = (
    "id",
    "meta",
    "active",
    "identifier",
    "gender",
    "birth_date",
    "deceased_boolean",
    "deceased_date_time",
)
BORN, DIED = (
    slice(start, start + 4)
    for start in (SCHEMAS[TABLE].names.index(name) - PROVENANCE for name in ("birth_at", "death_at"))
)
IDENTIFIERS = SCHEMAS[TABLE].names.index("identifiers") - PROVENANCE


def regular_persons(resources: Sequence[Any], places: Sequence[int], context: Context) -> RegularRows | None:
    """Return the regular ones of the Patients at some places, None when there is none.

    A resource is regular when its mapper would return one row and no notes.
    """
    left = Candidates.of(resources, places, PARTS)
    left.keep_named()
    left.keep(id_ and not id_.startswith(NAMELESS) for id_ in left["id"])
    left.keep_whole(context)
    _keep_known(left, context)
    _keep_dated(left, context)
    return _in_columns(left, context) if len(left) else None


def _keep_known(left: Candidates, context: Context) -> None:
    """Look up sex and the flags; go on with those that the mapper has nothing to say about."""
    map_one = partial(map_patient, context=context.within(ALONE))
    dead = [died is not None for died in left["deceased_date_time"]]
    keys = list(zip(left["gender"], left["active"], left["deceased_boolean"], dead, strict=True))
    found = context.persons.places(keys, _example, map_one)
    left.add(template=found)
    left.keep(place >= 0 for place in found)


def _example(key: tuple[str | None, bool | None, bool | None, bool]) -> dict[str, Any]:
    """Return a Patient with the parts of a key; a death decides on more than its date."""
    gender, active, deceased, dead = key
    return {
        "resourceType": KIND,
        "id": "example",
        "gender": gender,
        "active": active,
        "deceasedBoolean": deceased,
        "deceasedDateTime": "2000-01-01" if dead else None,
    }


def _keep_dated(left: Candidates, context: Context) -> None:
    """Read birth and death; go on where both are dates in the past, in this order."""
    births, deaths = _moments(left["birth_date"], context), _moments(left["deceased_date_time"], context)
    left.add(born=births, died=deaths)
    left.keep(
        born is not None and died is not None and (died is NEVER or not is_before(died, born))
        for born, died in zip(births, deaths, strict=True)
    )


def _moments(texts: Sequence[str | None], context: Context) -> list[Moment | None]:
    """Return the moments that texts say; None where there is something to say about one."""
    dates, now = context.dates, context.now
    if texts.count(None) == len(texts):
        return [NEVER] * len(texts)
    found: list[Moment | None] = []
    for text in texts:
        moment = dates.known.get(text) or dates.read(text)
        odd = text in dates.remarks or (moment.at is not None and moment.at > now)
        found.append(None if odd else moment)
    return found


def _in_columns(left: Candidates, context: Context) -> RegularRows:
    """Return the columns of those that are left, and remember their identifiers."""
    columns: list[Sequence[Any] | pa.Array] = [*context.persons.columns(TABLE, left["template"])]
    columns[BORN] = list(zip(*left["born"], strict=True))
    columns[DIED] = list(zip(*left["died"], strict=True))
    columns[IDENTIFIERS] = [
        " ".join(learn_identifiers(sent, id_, context)) or None if sent else None
        for id_, sent in zip(left["id"], left["identifier"], strict=True)
    ]
    ids = left["id"]
    prefix = context.subject_prefix
    subjects = [prefix + id_ for id_ in ids] if prefix else ids
    return RegularRows(TABLE, KIND, left["places"], ids, left["meta"], subjects, columns)
