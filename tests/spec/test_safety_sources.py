"""What the safety results rest on, and what the data could not say."""

import msgspec
import pytest

from fhiradapter.analysis.coverage import derive_coverage
from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.analysis.quality import derive_quality
from fhiradapter.analysis.safety import derive_safety
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Safety
from tests.spec.safety_tables import cohort, day, rows, study, timeline

DATES = timeline("""
s1 2024-03-10 2024-04-10 2024-12-31
s2 2024-03-10 2024-04-10 2024-12-31
""")


def account(received: int, mapped: int) -> TypeAccount:
    return TypeAccount(received=received, mapped=mapped, quarantined=0, ignored={"POLICY": received - mapped})


def test_a_type_that_was_never_read_does_not_read_as_zero_events():
    """AdverseEvent was read and empty, Condition was not read: the statements differ."""
    made = Cohort.from_rows({}, {"AdverseEvent": account(0, 0)})
    sources = derive_coverage(made, DATES)
    assert sources["AdverseEvent"].read
    assert sources["AdverseEvent"].statement == "read: 0 received, none of them usable here"
    assert not sources["Condition"].read
    assert sources["Condition"].statement == "not read: absence is not zero events"


def test_labs_and_vitals_have_their_own_days():
    """One Observation account, two windows; a day in 9999 means open-ended and is none."""
    table = """
    subject_id kind  measured
    s1         lab   2024-03-01
    s2         lab   2024-05-01
    s1         vital 2024-03-10
    s1         vital 9999-12-30
    other      lab   2020-01-01
    """
    made = Cohort.from_rows({"measurements": rows(table)}, {"Observation": account(6, 5)})
    sources = derive_coverage(made, DATES)
    labs, vitals = sources["Observation (labs)"], sources["Observation (vitals)"]
    assert (labs.first_on, labs.last_on) == (day("2024-03-01"), day("2024-05-01"))
    assert (vitals.first_on, vitals.last_on) == (day("2024-03-10"), day("2024-03-10"))
    assert (labs.received, labs.mapped) == (6, 5)
    assert labs.statement == "read: 2 rows of 2 of 2 subjects, 2024-03-01 to 2024-05-01"


def test_medication_that_was_received_and_not_read_is_told():
    """Twelve MedicationStatements are not read; no MedicationRequest came, so nothing is said of it."""
    unread = TypeAccount(received=12, mapped=0, quarantined=0, ignored={"TYPE_NOT_READ": 12})
    sources = derive_coverage(Cohort.from_rows({}, {"MedicationStatement": unread}), DATES)
    assert sources["MedicationStatement"].statement == "received 12, not read"
    assert (sources["MedicationStatement"].read, sources["MedicationStatement"].received) == (False, 12)
    assert "MedicationRequest" not in sources


def test_issues_are_counted_by_reason_and_disposition():
    """Two flagged and one quarantined of one reason, one of another."""
    table = """
    reason       disposition
    UNKNOWN_UNIT flagged
    UNKNOWN_UNIT flagged
    UNKNOWN_UNIT quarantined
    BAD_DATE     flagged
    """
    quality = derive_quality(cohort(issues=rows(table)))
    assert quality.issues == {"BAD_DATE": {"flagged": 1}, "UNKNOWN_UNIT": {"flagged": 2, "quarantined": 1}}


def test_unmapped_codes_come_with_their_units_and_counts():
    """Two of one code in mg, one in g, one mapped row that does not count, one text without a code."""
    table = """
    concept source_code         source_unit
    -       http://loinc.org|9  mg
    -       http://loinc.org|9  mg
    -       http://loinc.org|9  g
    alt     http://loinc.org|1  U/L
    -       liver              -
    """
    quality = derive_quality(cohort(measurements=rows(table)))
    found = [(code.table, code.code, code.unit, code.count) for code in quality.unmapped]
    assert found[0] == ("measurements", "http://loinc.org|9", "mg", 2)
    assert set(found[1:]) == {
        ("measurements", "http://loinc.org|9", "g", 1),
        ("measurements", "liver", None, 1),
    }
    assert (quality.unmapped_rows, quality.text_only_rows) == (4, 1)


def test_at_most_two_hundred_unmapped_codes_are_listed_and_all_are_counted():
    """250 codes once each: 200 listed, 250 counted."""
    made = cohort(measurements=[{"row_id": str(n), "source_code": f"x|{n}"} for n in range(250)])
    quality = derive_quality(made)
    assert (len(quality.unmapped), quality.unmapped_rows) == (200, 250)


def test_an_empty_cohort_has_nothing_to_say():
    """No rows: empty results, no error."""
    quality = derive_quality(cohort())
    assert (quality.issues, quality.unmapped, quality.unmapped_rows, quality.text_only_rows) == ({}, (), 0, 0)


BAD_INPUT = {
    "no rows at all": {},
    "one subject without anything": {"subjects": rows("subject_id\ns1")},
    "death before the first dose": {
        "subjects": [{"row_id": "p", "subject_id": "s1", "deceased": True, "death_on": day("2024-01-01")}],
        "exposures": rows("subject_id concept status start\ns1 cells completed 2024-03-01"),
    },
    "infusions without a dose or a day": {
        "exposures": rows("subject_id concept status start\ns1 cells completed -\ns1 cells stopped 2024")
    },
    "dates in the future": {
        "exposures": rows("subject_id concept status start\ns1 cells completed 2224-03-01"),
        "events": rows("subject_id term start\ns1 Fall 2230-01-01", kind="adverse_event"),
    },
    "an event without anything": {"events": rows("subject_id\ns1", kind="adverse_event")},
    "laboratory values without limits, units and dates": {
        "exposures": rows("subject_id concept status start\ns1 cells completed 2024-03-01"),
        "measurements": rows(
            "subject_id concept measured value status\ns1 alt - 5 final\ns1 alt 2024-04 5 final"
        ),
    },
}
SCHEDULE = [{"count": 4, "every": "week"}]


@pytest.mark.parametrize("name", BAD_INPUT)
@pytest.mark.parametrize("treated", [True, False])
def test_bad_input_gives_results_that_can_be_written(name: str, treated: bool):
    """Never a traceback or a warning: exposure and safety come out, as JSON without NaN."""
    made = Cohort.from_rows(BAD_INPUT[name])
    treatment = {"concept": "cells", "dose_cells": 1e8, "schedule": SCHEDULE} if treated else None
    chosen = study(treatment=treatment)
    dates = derive_timeline(made, chosen)
    exposure = derive_exposure(made, chosen, dates, kinds={})
    safety = derive_safety(made, chosen, dates)
    assert (exposure is not None) is treated
    assert msgspec.json.decode(msgspec.json.encode(safety), type=Safety) == safety
    assert b"NaN" not in msgspec.json.encode((exposure, safety))
