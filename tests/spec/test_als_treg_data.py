"""The synthetic example holds the published aggregates, computed here from its NDJSON alone.

Nothing of the package is imported: FHIR is read with `json`, slopes are numpy's least squares. The published
values are those of Shneider and others, NEJM Evidence 2025, doi 10.1056/EVIDoa2400249.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

FHIR = Path(__file__).resolve().parents[2] / "examples" / "als_treg" / "fhir"
MONTH = 30.4375
CLINIC = ZoneInfo("America/New_York")
TOTALS = {"82953-1", "ALSFRSR-TOT", "ALSFRS-R total (clinic form)", "alsfrsr.total"}
ITEMS = {
    "82940-8": 1,
    "82941-6": 2,
    "82942-4": 3,
    "82943-2": 4,
    "82944-0": 5,
    "82945-7": 5,
    "82946-5": 6,
    "82947-3": 7,
    "82948-1": 8,
    "82949-9": 9,
    "82950-7": 10,
    "82951-5": 11,
    "82952-3": 12,
} | {f"alsfrsr.{number}": number for number in range(1, 13)}
CELLS = {"10*6": 1e6, "10*6.{cells}": 1e6, "{cells}": 1, "million cells": 1e6, "cells (millions)": 1e6}

Resource = dict[str, Any]


def current(kind: str) -> list[Resource]:
    """The newest version of each resource, without those entered in error."""
    newest: dict[str, Resource] = {}
    for line in (FHIR / f"{kind}.ndjson").read_text(encoding="utf-8").splitlines():
        resource = json.loads(line)
        known = newest.get(resource["id"])
        if known is None or resource["meta"]["lastUpdated"] > known["meta"]["lastUpdated"]:
            newest[resource["id"]] = resource
    return [each for each in newest.values() if each.get("status") != "entered-in-error"]


def subject_of(resource: Resource) -> str:
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


def local_day(text: str) -> date:
    """The clinic's calendar day of a date or of an instant."""
    if len(text) == 10:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text).astimezone(CLINIC).date()


def symbol(code: Resource) -> str:
    return str(code["coding"][0]["code"] if "coding" in code else code["text"])


def number(holder: Resource) -> int:
    """A score in any of the ways it was sent."""
    if "valueInteger" in holder:
        return int(holder["valueInteger"])
    if "valueQuantity" in holder:
        return int(holder["valueQuantity"]["value"])
    if "valueString" in holder:
        return int(holder["valueString"])
    coding = holder["valueCoding"] if "valueCoding" in holder else holder["valueCodeableConcept"]["coding"][0]
    return int(coding["extension"][0]["valueDecimal"])


def parts() -> Iterator[tuple[str, date, str, int]]:
    """Subject, day, code and value of every item and total, out of all four shapes."""
    for each in current("Observation"):
        if symbol(each["code"]) not in ITEMS.keys() | TOTALS | {"82954-9"}:
            continue
        where = subject_of(each), local_day(each["effectiveDateTime"])
        for part in each.get("component", [each]):
            if symbol(part["code"]) != "82954-9":
                yield *where, symbol(part["code"]), number(part)
    for form in current("QuestionnaireResponse"):
        for question in form["item"][0]["item"]:
            day = local_day(form["authored"])
            yield subject_of(form), day, question["linkId"], number(question["answer"][0])


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[date, int]]:
    """Subject -> day -> total: the sum of twelve items, else the total that was reported."""
    reported: dict[tuple[str, date], int] = {}
    items: dict[tuple[str, date], dict[int, int]] = defaultdict(dict)
    for subject, day, code, value in parts():
        if code in TOTALS:
            reported[subject, day] = value
        else:
            items[subject, day][ITEMS[code]] = value
    found: dict[str, dict[date, int]] = defaultdict(dict)
    for subject, day in sorted(reported.keys() | items.keys()):
        twelve = items[subject, day]
        found[subject][day] = sum(twelve.values()) if len(twelve) == 12 else reported[subject, day]
    return found


def infusions(status: str) -> dict[str, list[date]]:
    found: dict[str, list[date]] = defaultdict(list)
    for each in current("MedicationAdministration"):
        if each["id"].endswith("-infusion") and each["status"] == status:
            start = each.get("effectiveDateTime") or each["effectivePeriod"]["start"]
            found[subject_of(each)].append(local_day(start))
    return {subject: sorted(days) for subject, days in found.items()}


@pytest.fixture(scope="module")
def doses() -> dict[str, list[date]]:
    return infusions("completed")


def slope(points: list[tuple[date, int]]) -> float | None:
    """Points a month by least squares, or None under two points or 90 days."""
    days = [day.toordinal() for day, _ in points]
    if len(points) < 2 or days[-1] - days[0] < 90:
        return None
    return float(np.polyfit((np.array(days) - days[0]) / MONTH, [score for _, score in points], 1)[0])


def before(day: date, first: date, last: date) -> bool:
    return day <= first


def during(day: date, first: date, last: date) -> bool:
    return first <= day and (day - last).days <= 30


def after(day: date, first: date, last: date) -> bool:
    return (day - last).days > 30


@pytest.mark.parametrize(
    ("period", "published", "adequate"), [(before, -1.66, 6), (during, -0.41, 6), (after, -0.60, 4)]
)
def test_mean_slopes_are_the_published_ones(
    scores: dict[str, dict[date, int]],
    doses: dict[str, list[date]],
    period: Callable[[date, date, date], bool],
    published: float,
    adequate: int,
) -> None:
    """Mean of the subjects' slopes per period, over the subjects with two scores and 90 days in it."""
    slopes = [
        slope([(day, score) for day, score in sorted(visits.items()) if period(day, given[0], given[-1])])
        for subject, visits in scores.items()
        for given in [doses[subject]]
    ]
    measured = [each for each in slopes if each is not None]
    assert len(measured) == adequate
    assert f"{np.mean(measured):.2f}" == f"{published:.2f}"


def test_six_living_subjects_aged_27_to_66(doses: dict[str, list[date]]) -> None:
    """Six subjects; completed years at the first dose are 27-66 with median 48.5; none has died."""
    ages = []
    for patient in current("Patient"):
        # The one birth date without a day is in March, and that first dose is in November.
        born = date.fromisoformat((patient["birthDate"] + "-15")[:10])
        first = doses[patient["id"]][0]
        ages.append(first.year - born.year - ((first.month, first.day) < (born.month, born.day)))
        assert patient.get("deceasedBoolean", False) is False
        assert "deceasedDateTime" not in patient
    assert sorted(ages) == [27, 39, 46, 51, 58, 66]
    assert median(ages) == 48.5


def test_baseline_score_has_median_31_5(
    scores: dict[str, dict[date, int]], doses: dict[str, list[date]]
) -> None:
    """The last score at or before the first dose; everybody has one on that very day."""
    baseline = [visits[doses[subject][0]] for subject, visits in scores.items()]
    assert sorted(baseline) == [24, 28, 31, 32, 36, 40]
    assert median(baseline) == 31.5


def test_median_of_eleven_infusions_of_100_million_cells(doses: dict[str, list[date]]) -> None:
    """Completed infusions count, each of 100 x 10^6 cells; two planned ones were not done, with a reason."""
    counts = sorted(len(days) for days in doses.values())
    assert counts == [7, 10, 11, 11, 12, 14]
    assert median(counts) == 11
    given = [each for each in current("MedicationAdministration") if "route" in each.get("dosage", {})]
    amounts = [each["dosage"]["dose"] for each in given]
    assert len(amounts) == 65
    assert {dose["value"] * CELLS[dose.get("code", dose["unit"])] for dose in amounts} == {1e8}
    assert sum(len(days) for days in infusions("not-done").values()) == 2


def test_first_four_doses_are_weekly_and_later_ones_four_weeks_apart(doses: dict[str, list[date]]) -> None:
    """Planned days 0, 7, 14, 21 and then every 28 days to day 189; most doses lie within a week of one."""
    planned = {0, 7, 14, 21, 49, 77, 105, 133, 161, 189}
    days = [(day - given[0]).days for given in doses.values() for day in given]
    exact = sum(day in planned for day in days)
    additional = sum(day > 199 for day in days)
    assert (exact, additional, len(days) - exact - additional) == (51, 10, 4)


def test_median_adequate_follow_up_is_18_months(
    scores: dict[str, dict[date, int]], doses: dict[str, list[date]]
) -> None:
    """Months from first dose to last contact, over the subjects with six months or more."""
    months = [(max(visits) - doses[subject][0]).days / MONTH for subject, visits in scores.items()]
    adequate = [each for each in months if each >= 6]
    assert len(adequate) == 5
    assert round(median(adequate), 1) == 18.0


def test_nothing_was_recorded_after_the_last_score(scores: dict[str, dict[date, int]]) -> None:
    """Last contact is the same day whichever table it is read from."""
    for kind in ("Observation", "Encounter", "MedicationAdministration", "AdverseEvent"):
        for each in current(kind):
            period: Any = each.get("effectivePeriod", each.get("period", {}))
            when: Any = each.get("effectiveDateTime", each.get("date", period.get("end", "")))
            if len(when) >= 10:  # not the adverse events with a month or no date at all
                assert local_day(when) <= max(scores[subject_of(each)])


def test_plasma_neurofilament_went_down() -> None:
    """Geometric mean of last / baseline in plasma; pg/mL and ng/L are the same amount."""
    plasma = {each["id"] for each in current("Specimen") if symbol(each["type"]) == "119361006"}
    series: dict[str, list[tuple[date, float]]] = defaultdict(list)
    for each in current("Observation"):
        if symbol(each["code"]) == "101281-4" and each["specimen"]["reference"].split("/")[1] in plasma:
            assert each["valueQuantity"]["code"] in ("pg/mL", "ng/L")
            series[subject_of(each)].append(
                (local_day(each["effectiveDateTime"]), each["valueQuantity"]["value"])
            )
    first = infusions("completed")
    ratios = []
    for subject, values in series.items():
        baseline = max(pair for pair in values if pair[0] <= first[subject][0])
        ratios.append(max(values)[1] / baseline[1])
    assert len(ratios) == 6
    assert 0.75 < float(np.exp(np.mean(np.log(ratios)))) < 0.85


def test_no_event_and_no_result_reaches_grade_3() -> None:
    """Events are mild or moderate and not serious; results stay inside the grade 3 limits of CTCAE 4.03."""
    events = current("AdverseEvent")
    assert Counter(symbol(each["severity"]) for each in events) == {"mild": 11, "moderate": 3}
    assert {symbol(each["seriousness"]) for each in events} == {"Non-serious"}
    results = defaultdict(list)
    for each in current("Observation"):
        if "referenceRange" in each:
            value = each["valueQuantity"]["value"]
            bounds = each["referenceRange"][0]
            results[symbol(each["code"])].append(
                (value, value / bounds["high"]["value"], value / bounds["low"]["value"])
            )
    for upper, code in ((5, "1742-6"), (5, "1920-8"), (3, "1975-2"), (3, "2160-0")):
        assert max(ratio for _, ratio, _ in results[code]) <= upper
    assert (
        min(ratio for _, _, ratio in results["718-7"]) > 8 / 12
    )  # 8 g/dL against the lower limit of a woman
    assert min(value for value, _, _ in results["777-3"]) >= 50
    assert min(value for value, _, _ in results["6690-2"]) >= 2


def test_all_four_score_shapes_and_their_traps_are_there() -> None:
    """Items, hasMember, component and questionnaire; eleven items once; one contradicted total."""
    observations = current("Observation")
    assert sum("hasMember" in each for each in observations) == 11
    assert sum("component" in each and symbol(each["code"]) == "82954-9" for each in observations) == 9
    assert len(current("QuestionnaireResponse")) == 12
    held: dict[tuple[str, date], dict[str, int]] = defaultdict(dict)
    for subject, day, code, value in parts():
        held[subject, day][code] = value
    counts = Counter(len(visit.keys() & ITEMS.keys()) for visit in held.values())
    assert counts.keys() == {0, 11, 12}
    assert counts[11] == 1
    contradicted = [
        visit
        for visit in held.values()
        if len(visit.keys() & ITEMS.keys()) == 12
        and any(
            visit[total] != sum(visit[item] for item in visit.keys() & ITEMS.keys())
            for total in TOTALS & visit.keys()
        )
    ]
    assert len(contradicted) == 1
