"""Regular doses: columns of MedicationAdministrations of which product and dosage were met before.

What was given, how much and how comes again and again; who got it and when does not. The columns of the
former are those that the mapper of single administrations made of the same bytes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.references import reference_text
from fhiradapter.mappers.candidates import Candidates, RegularRows
from fhiradapter.mappers.context import ALONE, Context
from fhiradapter.mappers.medication_administration import map_medication_administration
from fhiradapter.mappers.outcome import PROVENANCE
from fhiradapter.mappers.times import Times, read_times, time_columns

TABLE, KIND = "exposures", "MedicationAdministration"
PARTS = (
    "id",
    "meta",
    "status",
    "medication_codeable_concept",
    "subject",
    "context",
    "encounter",
    "effective_date_time",
    "effective_period",
    "request",
    "dosage",
)
# Columns that a template does not know: who, when, where, and by whose order.
STARTED = slice(*(SCHEMAS[TABLE].names.index(name) - PROVENANCE for name in ("started_at", "ended_at")))
ENDED = slice(STARTED.stop, STARTED.stop + 4)
ENCOUNTER, PLANNED = (SCHEMAS[TABLE].names.index(name) - PROVENANCE for name in ("encounter_id", "planned"))
_bytes = b"".__add__


def regular_doses(resources: Sequence[Any], places: Sequence[int], context: Context) -> RegularRows | None:
    """Return the regular ones of the MedicationAdministrations at some places, None when there is none.

    A resource is regular when its mapper would return one row and no notes, and it says when in one way.
    """
    left = Candidates.of(resources, places, PARTS)
    left.keep_named("subject")
    left.keep_whole(context)
    _keep_dated(left)
    _keep_known(left, context)
    times = _keep_timed(left, context)
    return _in_columns(left, times, context) if len(left) else None


def _keep_dated(left: Candidates) -> None:
    """Go on with those that have a time or a period with a start; take both apart into start and end."""
    points, periods = left["effective_date_time"], left["effective_period"]
    if periods.count(None) == len(periods):
        starts, ends = points, [None] * len(points)
    else:
        starts = [
            point if period is None else period.start if point is None else None
            for point, period in zip(points, periods, strict=True)
        ]
        ends = [None if period is None else period.end for period in periods]
    left.add(start=starts, end=ends)
    if None in starts:
        left.keep(start is not None for start in starts)


def _keep_known(left: Candidates, context: Context) -> None:
    """Look up product and dosage, subject and Encounter; go on where all are known."""
    map_one = partial(map_medication_administration, context=context.within(ALONE))
    products, dosages = map(_bytes, left["medication_codeable_concept"]), map(_bytes, left["dosage"])
    keys = list(zip(left["status"], products, dosages, strict=True))
    found = context.doses.places(keys, _example, map_one)
    left.add(template=found)
    if min(found, default=0) < 0:
        left.keep(template >= 0 for template in found)
    left.keep_subjects(context)
    sent = left["context"]
    if None in sent:
        sent = [stay or visit for stay, visit in zip(sent, left["encounter"], strict=True)]
    left.keep_encounters(sent, context)


def _example(key: tuple[str | None, bytes, bytes]) -> dict[str, Any]:
    """Return a MedicationAdministration with the parts of a key."""
    status, product, dosage = key
    return {
        "resourceType": KIND,
        "id": "example",
        "subject": {"reference": "Patient/example"},
        "effectiveDateTime": "2000-01-01T00:00:00Z",
        "status": status,
        "medicationCodeableConcept": msgspec.Raw(product) if product else None,
        "dosage": msgspec.Raw(dosage) if dosage else None,
    }


def _keep_timed(left: Candidates, context: Context) -> tuple[Times, Times]:
    """Read start and end; go on where both are plain and in this order."""
    while True:
        starts, ends = read_times(left["start"], context), read_times(left["end"], context)
        if isinstance(starts, list):
            left.keep(starts)
        elif isinstance(ends, list):
            left.keep(ends)
        else:
            in_order = (ends.micros >= starts.micros) | ends.missing
            if in_order.all():
                return starts, ends
            left.keep(in_order.tolist())


def _in_columns(left: Candidates, times: tuple[Times, Times], context: Context) -> RegularRows:
    """Return the columns of those that are left."""
    columns: list[Sequence[Any] | pa.Array] = [*context.doses.columns(TABLE, left["template"])]
    columns[STARTED] = time_columns(times[0], context.dates)
    columns[ENDED] = time_columns(times[1], context.dates)
    columns[ENCOUNTER] = left["encounter_id"]
    if left["request"].count(None) < len(left):
        columns[PLANNED] = list(map(reference_text, left["request"]))
    return RegularRows(TABLE, KIND, left["places"], left["id"], left["meta"], left["subject_id"], columns)
