"""A dose per kilogram becomes a dose with the body weight nearest before it, and with no other."""

from itertools import permutations
from typing import Any

import pytest
from incoming import UCUM, Json, administration, cohort_of, meta, patient, reasons, weight

from fhiradapter.cohort.cohort import Cohort


def infusion(identity: str = "a1", value: float = 2, unit: str = "10*6.{cells}/kg", **more: Any) -> Json:
    """Return an infusion at 10:00 UTC on 5 March 2024, of 2 million cells per kilogram."""
    dose = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return administration(
        identity,
        **{
            "medicationCodeableConcept": {"text": "regulatory T cells"},
            "effectiveDateTime": "2024-03-05T10:00:00Z",
            "dosage": {"dose": dose},
            **more,
        },
    )


def doses(cohort: Cohort) -> dict[str, float | None]:
    rows = cohort.arrow("exposures").to_pylist()
    return {row["resource_id"]: row["dose_cells"] for row in rows}


def test_the_dose_is_the_weight_times_the_dose_per_kilogram() -> None:
    """70.5 kg x 2 000 000 cells/kg = 141 000 000 cells; the dose as sent stays beside it."""
    cohort = cohort_of([patient(), weight("w1", 70.5, "2024-03-01"), infusion()])
    row = cohort.exposures.iloc[0]
    assert row["dose_cells"] == pytest.approx(141e6, rel=1e-12)
    assert row["dose_cells_per_kg"] == pytest.approx(2e6, rel=1e-12)
    assert (row["dose_text"], row["dose_unit"]) == ("2", "10*6.{cells}/kg")
    assert reasons(cohort) == []


def test_the_nearest_weight_before_counts_in_every_order() -> None:
    """60 kg on the 1st, 70 kg on the 4th, 90 kg on the 6th: the one of the 4th."""
    sent = [
        weight("w1", 60, "2024-03-01"),
        weight("w2", 70, "2024-03-04"),
        weight("w3", 90, "2024-03-06"),
        infusion(),
    ]
    for order in permutations(sent):
        assert doses(cohort_of([patient(), *order])) == {"a1": pytest.approx(140e6)}


def test_a_weight_of_the_same_day_counts() -> None:
    """Written down in the afternoon of the infusion, or as a day alone."""
    for when in ("2024-03-05T16:00:00Z", "2024-03-05"):
        cohort = cohort_of([patient(), weight("w1", 70, when), infusion()])
        assert doses(cohort) == {"a1": pytest.approx(140e6)}


@pytest.mark.parametrize(
    "when", ["2024-03-06T00:00:00Z", "2024-02-01T00:00:00Z", "2023-03-05"], ids=["after", "33 days", "a year"]
)
def test_a_weight_of_another_time_does_not_count(when: str) -> None:
    """No dose in cells rather than a wrong one: the exposure stays and the missing weight is said."""
    cohort = cohort_of([patient(), weight("w1", 70, when), infusion()])
    assert doses(cohort) == {"a1": None}
    assert reasons(cohort) == ["DOSE_WITHOUT_WEIGHT"]


def test_thirty_days_are_the_limit() -> None:
    """4 February is 30 days before 5 March 2024 (25 days of a leap February and 5), 3 February 31 days."""
    for when, expected in (
        ("2024-02-04", pytest.approx(140e6)),
        ("2024-02-04T23:00:00Z", pytest.approx(140e6)),
        ("2024-02-03T23:59:59Z", None),
    ):
        assert doses(cohort_of([patient(), weight("w1", 70, when), infusion()])) == {"a1": expected}


LATE = "2024-03-05T22:00:00-05:00"  # the 6th in UTC, at 03:00
EARLY = "2024-03-05T01:00:00+09:00"  # the 4th in UTC, at 16:00


@pytest.mark.parametrize(
    ("infused", "weighed", "expected"),
    [
        (LATE, "2024-03-05T08:00:00-05:00", 140e6),
        (LATE, "2024-03-05T23:30:00-05:00", 140e6),
        (LATE, "2024-03-06T00:30:00-05:00", None),
        (EARLY, "2024-03-05T08:00:00+09:00", 140e6),
        (EARLY, "2024-03-05", 140e6),
        (EARLY, "2024-03-06T08:00:00+09:00", None),
    ],
)
def test_days_are_those_of_the_site(infused: str, weighed: str, expected: float | None) -> None:
    """A weight of the infusion's local day counts at any hour, one of the next local day at none."""
    cohort = cohort_of([patient(), weight("w1", 70, weighed), infusion(effectiveDateTime=infused)])
    assert doses(cohort) == {"a1": None if expected is None else pytest.approx(expected)}


UNUSABLE: dict[str, Json] = {
    "7000 kg": {"value": 7000},
    "0.7 kg": {"value": 0.7},
    "a bound": {"value": 70, "comparator": "<"},
    "preliminary": {"value": 70, "status": "preliminary"},
    "registered": {"value": 70, "status": "registered"},
    "a month": {"value": 70, "when": "2024-03"},
    "a year": {"value": 70, "when": "2024"},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_weight_that_is_not_usable_multiplies_no_dose(name: str) -> None:
    """concepts.csv takes 1 to 400 kg for plausible. The 60 kg of 20 February count instead: 120 million."""
    about = {"when": "2024-03-04", "status": "final", **UNUSABLE[name]}
    quantity = {"value": about["value"], "unit": "kg", "system": UCUM, "code": "kg"}
    if "comparator" in about:
        quantity["comparator"] = about["comparator"]
    bad = weight("w1", 0, about["when"], valueQuantity=quantity, status=about["status"])
    assert doses(cohort_of([patient(), bad, infusion()])) == {"a1": None}
    good = weight("w0", 60, "2024-02-20")
    assert doses(cohort_of([patient(), bad, good, infusion()])) == {"a1": pytest.approx(120e6)}


@pytest.mark.parametrize("status", ["final", "amended", "corrected", "appended"])
def test_a_final_weight_counts_whatever_was_done_to_it_since(status: str) -> None:
    """70 kg, final or corrected afterwards."""
    cohort = cohort_of([patient(), weight("w1", 70, "2024-03-04", status=status), infusion()])
    assert doses(cohort) == {"a1": pytest.approx(140e6)}


def test_pounds_are_converted_first() -> None:
    """154 pounds are 69.853... kg: 1 pound is 0.45359237 kg by definition."""
    cohort = cohort_of([patient(), weight("w1", 154, "2024-03-04", unit="[lb_av]"), infusion()])
    assert doses(cohort) == {"a1": pytest.approx(154 * 0.45359237 * 2e6, rel=1e-12)}


def test_somebody_else_s_weight_does_not_count() -> None:
    """Weights are of their subject."""
    other = weight("w1", 70, "2024-03-04", subject="Patient/p2")
    cohort = cohort_of([patient(), patient("p2"), other, infusion()])
    assert doses(cohort) == {"a1": None}


def test_an_amended_weight_counts_as_amended() -> None:
    """90 kg was a slip of the pen, corrected to 70 kg: 140 million, in every order of arrival."""
    sent = [
        weight("w1", 90, "2024-03-04", **meta("1")),
        weight("w1", 70, "2024-03-04", status="corrected", **meta("2")),
        infusion(),
    ]
    for order in permutations(sent):
        assert doses(cohort_of([patient(), *order])) == {"a1": pytest.approx(140e6)}


def test_a_weight_that_was_taken_back_does_not_count() -> None:
    """The older weight of 60 kg counts again."""
    sent = [
        weight("w0", 60, "2024-03-01"),
        weight("w1", 90, "2024-03-04", **meta("1")),
        weight("w1", 90, "2024-03-04", status="entered-in-error", **meta("2")),
        infusion(),
    ]
    for order in permutations(sent):
        assert doses(cohort_of([patient(), *order])) == {"a1": pytest.approx(120e6)}


def test_a_weight_without_a_unit_does_not_count() -> None:
    """154 may be pounds: never guessed from its size."""
    bare = weight("w1", 154, "2024-03-04", valueQuantity={"value": 154})
    cohort = cohort_of([patient(), bare, infusion()])
    assert doses(cohort) == {"a1": None}
    assert reasons(cohort) == ["DOSE_WITHOUT_WEIGHT", "MISSING_UNIT"]


def test_an_infusion_without_a_date_has_no_weight_before_it() -> None:
    """Nothing is before an unknown time."""
    cohort = cohort_of([patient(), weight("w1", 70, "2024-03-04"), infusion(effectiveDateTime=None)])
    assert doses(cohort) == {"a1": None}
    assert "DOSE_WITHOUT_WEIGHT" in reasons(cohort)


def test_a_dose_that_was_not_given_needs_no_weight() -> None:
    """not-done has no dose, so nothing is missing."""
    cohort = cohort_of([patient(), infusion(status="not-done")])
    assert doses(cohort) == {"a1": None}
    assert reasons(cohort) == []


def test_the_weight_of_a_replaced_record_is_the_survivor_s() -> None:
    """Weighed under the old record, infused under the new one: one person."""
    old = patient("p2", link=[{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}])
    weighed = weight("w1", 70, "2024-03-04", subject="Patient/p2")
    assert doses(cohort_of([patient(), old, weighed, infusion()])) == {"a1": pytest.approx(140e6)}


def test_each_infusion_has_the_weight_of_its_own_time() -> None:
    """Loss of weight between two infusions shows in the second dose."""
    cohort = cohort_of(
        [
            patient(),
            weight("w1", 70, "2024-03-04"),
            weight("w2", 65, "2024-04-01"),
            infusion(),
            infusion("a2", effectiveDateTime="2024-04-02T10:00:00Z"),
        ]
    )
    assert doses(cohort) == {"a1": pytest.approx(140e6), "a2": pytest.approx(130e6)}


def test_two_contents_of_one_version_have_each_their_own_dose() -> None:
    """Both are kept, so each is multiplied by itself: 2 and 1 million per kilogram of 70 kg."""
    sent = [infusion(value=2, **meta("1")), infusion(value=1, **meta("1")), weight("w1", 70, "2024-03-04")]
    for order in permutations(sent):
        cohort = cohort_of([patient(), *order])
        assert sorted(cohort.exposures["dose_cells"]) == [pytest.approx(70e6), pytest.approx(140e6)]
        assert reasons(cohort) == ["SAME_VERSION_DIFFERS"]
