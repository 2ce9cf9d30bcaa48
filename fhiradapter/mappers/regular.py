"""Regular results: columns of Observations of which every part was met before.

Most of a laboratory's results differ from their neighbours in id, subject, time and number alone. For these
the columns are made by look-ups in the memories that the mapper of single Observations fills, without steps
of Python for each row. Whatever is missing there, or unusual, is left to that mapper, so that no rule stands
in two places.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.mappers.candidates import Candidates, RegularRows
from fhiradapter.mappers.columns import constant
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.measured import measured
from fhiradapter.mappers.observation import USED
from fhiradapter.mappers.result_memory import UNKNOWN
from fhiradapter.mappers.times import INSTANT, Times, read_times, time_columns

PARTS = (
    "id",
    "meta",
    "status",
    "subject",
    "effective_date_time",
    "encounter",
    "code",
    "value_quantity",
    "performer",
    "reference_range",
)
_bytes = b"".__add__  # the bytes of a Raw, without a call into Python


def regular_results(resources: Sequence[Any], places: Sequence[int], context: Context) -> RegularRows | None:
    """Return the regular ones of the Observations at some places, None when there is none.

    A resource is regular when the mapper of Observations would return one row and no notes.
    """
    left = Candidates.of(resources, places, PARTS)
    left.keep_named("subject", "effective_date_time")
    if not USED.issuperset(left["status"]):
        left.keep(status in USED for status in left["status"])
    left.keep_whole(context)
    left.keep_subjects(context)
    left.keep_encounters(left["encounter"], context)
    _keep_known(left, context)
    _keep_measured(left, context)
    times = _keep_timed(left, context)
    return _in_columns(left, times, context) if len(left) else None


def _keep_known(left: Candidates, context: Context) -> None:
    """Look up code, performer and reference range; go on where all are known."""
    memory = context.results
    tests: list[int | None] = list(map(memory.tests.get, map(_bytes, left["code"])))
    if None in tests:
        tests = [
            memory.learn_test(_bytes(code)) if test is None else test
            for test, code in zip(tests, left["code"], strict=True)
        ]
    ranges: list[int | None] = list(map(memory.ranges.get, map(_bytes, left["reference_range"])))
    if None in ranges:
        ranges = [
            memory.learn_range(_bytes(sent)) if limits is None else limits
            for limits, sent in zip(ranges, left["reference_range"], strict=True)
        ]
    performers = list(map(context.performers.known.get, map(_bytes, left["performer"])))
    left.add(test=tests, range=ranges, performer_text=performers)
    if None in tests or None in ranges or not all(performers):
        left.keep(
            test is not None and limits is not None and (performer is not None or raw is ABSENT)
            for test, limits, performer, raw in zip(tests, ranges, performers, left["performer"], strict=True)
        )


def _keep_measured(left: Candidates, context: Context) -> None:
    """Read quantities and look up limits of normal; go on where both are known and nothing is to be said."""
    tests, ranges = np.array(left["test"], np.int64), np.array(left["range"], np.int64)
    sent = list(map(_bytes, left["value_quantity"]))
    values, numbers, uses, limits = measured(sent, tests, ranges, context.results)
    left.add(test=tests, value=values, number=numbers, use=uses, limits=limits)
    left.keep((uses != UNKNOWN) & (limits != UNKNOWN))


def _keep_timed(left: Candidates, context: Context) -> Times:
    """Read the times; go on where they are plain."""
    while isinstance(times := read_times(left["effective_date_time"], context), list):
        left.keep(times)
    return times


def _in_columns(left: Candidates, times: Times, context: Context) -> RegularRows:
    """Return the columns of those that are left."""
    memory, count = context.results, len(left)
    nothing = constant(None, count)
    performers = left["performer_text"]
    unit, source_unit = memory.unit_columns(left["use"])
    columns = [
        *memory.code_columns(left["test"]),
        left["status"],
        *time_columns(times, context.dates),
        pa.nulls(count, INSTANT),
        pa.array(left["value"]),
        unit,
        nothing,  # comparator
        nothing,  # value as text
        nothing,  # value as a concept
        left["number"],
        source_unit,
        nothing,  # reason for its absence
        *memory.limit_columns(left["limits"]),
        nothing,  # specimen
        nothing,  # method
        [performer or None for performer in performers] if "" in performers else performers,
        left["encounter_id"],
        nothing,  # parent
    ]
    return RegularRows(
        "measurements", "Observation", left["places"], left["id"], left["meta"], left["subject_id"], columns
    )
