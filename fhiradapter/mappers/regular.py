"""Regular results: columns of Observations of which every part was met before.

Most of a laboratory's results differ from their neighbours in id, subject, time and number alone. For these
the columns are made by look-ups in the memories that the mapper of single Observations fills, without steps
of Python for each row. Whatever is missing there, or unusual, is left to that mapper, so that no rule stands
in two places.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.mappers.candidates import Candidates, RegularRows, encounters_of, subjects_of
from fhiradapter.mappers.columns import constant
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.observation import USED
from fhiradapter.mappers.result_memory import (
    amounts_of,
    limits_of,
    place_of,
    source_value_of,
    unit_of,
    value_of,
)
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
    _keep_known(left, context)
    _keep_measured(left, context)
    times = _keep_timed(left, context)
    return _in_columns(left, times, context) if len(left) else None


def _keep_known(left: Candidates, context: Context) -> None:
    """Look up code, subject, encounter and performer; go on where all are known."""
    memory = context.results
    codes = list(map(_bytes, left["code"]))
    tests: list[Any] = list(map(memory.tests.get, codes))
    if not all(tests):
        tests = [test or memory.learn_test(code) for test, code in zip(tests, codes, strict=True)]
    subjects = subjects_of(left["subject"], context)
    encounters = encounters_of(left["encounter"], context)
    performers = list(map(context.performers.known.get, map(_bytes, left["performer"])))
    left.add(test=tests, subject_id=subjects, encounter_id=encounters, performer_text=performers)
    # Mostly all are known, which is seen without looking at each row.
    if not (all(tests) and all(subjects) and False not in set(encounters) and all(performers)):
        left.keep(
            test is not None
            and subject is not None
            and encounter is not False
            and (performer is not None or raw is ABSENT)
            for test, subject, encounter, performer, raw in zip(
                tests, subjects, encounters, performers, left["performer"], strict=True
            )
        )


def _keep_measured(left: Candidates, context: Context) -> None:
    """Look up quantity and limits; a quantity that was not met before is worked out."""
    tests, quantities = left["test"], list(map(_bytes, left["value_quantity"]))
    amounts: list[Any] = list(map(dict.get, map(amounts_of, tests), quantities))
    if not all(amounts):
        learn = context.results.learn_amount
        amounts = [
            amount or learn(test, sent) for amount, test, sent in zip(amounts, tests, quantities, strict=True)
        ]
        left.add(amount=amounts)
        left.keep(amounts)
        amounts = list(left["amount"])
    limits = list(map(dict.get, map(limits_of, amounts), map(_bytes, left["reference_range"])))
    left.add(amount=amounts, limits=limits)
    if not all(limits):
        left.keep(limits)


def _keep_timed(left: Candidates, context: Context) -> Times:
    """Read the times; go on where they are plain."""
    while isinstance(times := read_times(left["effective_date_time"], context), list):
        left.keep(times)
    return times


def _in_columns(left: Candidates, times: Times, context: Context) -> RegularRows:
    """Return the columns of those that are left."""
    memory, count = context.results, len(left)
    nothing = constant(None, count)
    amounts, performers = left["amount"], left["performer_text"]
    unit, source_unit = memory.unit_columns(list(map(unit_of, amounts)))
    columns = [
        *memory.code_columns(list(map(place_of, left["test"]))),
        left["status"],
        *time_columns(times, context.dates),
        pa.nulls(count, INSTANT),
        list(map(value_of, amounts)),
        unit,
        nothing,  # comparator
        nothing,  # value as text
        nothing,  # value as a concept
        list(map(source_value_of, amounts)),
        source_unit,
        nothing,  # reason for its absence
        *zip(*left["limits"], strict=True),
        nothing,  # specimen
        nothing,  # method
        [performer or None for performer in performers] if "" in set(performers) else performers,
        left["encounter_id"],
        nothing,  # parent
    ]
    return RegularRows(
        "measurements", "Observation", left["places"], left["id"], left["meta"], left["subject_id"], columns
    )
