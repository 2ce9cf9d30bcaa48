"""Vital capacity: change from baseline, by visit and as slope."""

import numpy as np
import pytest
from scipy import stats
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.analysis.vital_capacity import derive_vital_capacity
from fhiradapter.settings import DAYS_PER_MONTH

SVC, LITRES = "svc_percent_predicted", "svc_litres"
DOSES = "subject_id | started\na | 2024-01-10T10:00:00\nb | 2024-01-10\nb | 2024-12-01\na | 2024-12-01\n"
VISITS = {"visits": [{"label": "Month 3", "day": 91, "early_days": 14, "late_days": 14}]}


def derive(values, *, study=None, concept=SVC, unit="%", doses=DOSES, more="", **tables):
    """Lines of subject, day and value, and whatever `more` names; concept and unit unless they say so."""
    study = study or study_of()
    more_names = [name.strip() for name in more.split("|") if name.strip()]
    filled = {"unit": unit, "concept": concept}
    rest = {name: word for name, word in filled.items() if name not in more_names}
    header = " | ".join(["subject_id", "measured", "value", *more_names, *rest])
    lines = [" | ".join([line, *rest.values()]) for line in values.strip().splitlines()]
    cohort = cohort_of(measurements="\n".join([header, *lines]), exposures=doses, **tables)
    return derive_vital_capacity(cohort, study, derive_timeline(cohort, study))


TWO = """
a | 2023-12-01 | 90
a | 2024-01-10 | 80
a | 2024-04-10 | 70
a | 2024-07-11 | 60
b | 2024-01-01 | 60
b | 2024-04-05 | 57
"""


def test_change_is_an_arithmetic_mean_in_points_and_in_percent_of_baseline():
    """a 60 - 80 = -20 and -25 %, b 57 - 60 = -3 and -5 %: means -11.5 and -15; baseline (80 + 60) / 2."""
    found = derive(TWO)[SVC]
    assert (found.unit, found.baseline_n, found.baseline_mean) == ("%", 2, pytest.approx(70))
    assert (found.change.n, found.change.change) == (2, pytest.approx(-11.5))
    assert found.change.relative_change == pytest.approx(-15)
    for values, interval in (([-20, -3], found.change.ci95), ([-25, -5], found.change.relative_ci95)):
        oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert interval == pytest.approx((oracle.low, oracle.high))
    assert found.excluded == ()


def test_change_at_a_visit():
    """Month 3 is 2024-04-10: a 70 - 80 = -10 (-12.5 %), b 57 - 60 = -3 (-5 %); t(1) x se = 12.7062 x 3.5."""
    found = derive(TWO, study=study_of(vital_capacity=VISITS))[SVC]
    [visit] = found.visits
    assert (visit.subjects, visit.mean) == (2, pytest.approx(63.5))
    assert (visit.change.change, visit.change.relative_change) == pytest.approx((-6.5, -8.75))
    assert visit.change.ci95 == pytest.approx((-6.5 - 44.4717, -6.5 + 44.4717), rel=1e-4)
    assert found.notes == {"unscheduled": 2}
    assert [value.visit for value in found.series] == [None, None, "Month 3", None, None, "Month 3"]


def test_visit_of_one_or_no_subject_says_why_it_has_no_interval():
    later = {"label": "Month 6", "day": 183, "early_days": 14, "late_days": 14}
    never = {"label": "Month 12", "day": 365}
    study = study_of(vital_capacity={"visits": [never, later]})
    six, twelve = derive(TWO, study=study)[SVC].visits
    assert (six.label, six.change.change, six.change.ci95) == ("Month 6", pytest.approx(-20), None)
    assert six.change.note == "only one subject, so no interval"
    assert (twelve.subjects, twelve.mean, twelve.change.n) == (0, None, 0)
    assert twelve.change.note == "no value at this visit"


def test_slope_of_each_period_is_least_squares_in_points_a_month():
    """Before: a -10 in 40 days, too short to count. During: a 80, 70, 60 on days 0, 91, 183."""
    found = derive(TWO)[SVC]
    rows = {(row.subject_id, row.period): row for row in found.by_subject_rows}
    assert rows["a", "before"].slope == pytest.approx(-10 / 40 * DAYS_PER_MONTH)
    assert not rows["a", "before"].adequate
    assert rows["a", "before"].reason == "values span 40 of the 90 days that are needed"
    oracle = stats.linregress(np.array([0, 91, 183]) / DAYS_PER_MONTH, [80, 70, 60])
    assert (rows["a", "during"].slope, rows["a", "during"].se) == pytest.approx((oracle.slope, oracle.stderr))
    assert (found.periods["during"].n, found.periods["during"].mean_slope) == (1, pytest.approx(oracle.slope))
    assert found.contrasts["during_minus_before"].n == 0


def test_no_score_of_48_is_assumed_at_onset():
    """Policy before_start = onset adds the maximum of the score; vital capacity has none."""
    onset = "subject_id | started\na | 2023-06-01"
    study = study_of(progression={"before_start": "onset"})
    found = derive(TWO, study=study, events=onset)[SVC]
    before = next(row for row in found.by_subject_rows if (row.subject_id, row.period) == ("a", "before"))
    assert (before.points, before.slope) == (2, pytest.approx(-10 / 40 * DAYS_PER_MONTH))


def test_litres_and_percent_and_slow_and_forced_are_apart():
    """Four concepts of one subject, each with its own baseline and unit."""
    lines = [
        f"a | {day} | {value} | {unit} | {concept}"
        for concept, unit, first, last in (
            ("svc_litres", "L", 4, 3),
            ("svc_percent_predicted", "%", 80, 60),
            ("fvc_litres", "L", 5, 4),
            ("fvc_percent_predicted", "%", 90, 81),
        )
        for day, value in (("2024-01-01", first), ("2024-06-01", last))
    ]
    found = derive("\n".join(lines), more="unit | concept")
    assert {key: (result.unit, result.change.change) for key, result in found.items()} == {
        "svc_percent_predicted": ("%", pytest.approx(-20)),
        "svc_litres": ("L", pytest.approx(-1)),
        "fvc_percent_predicted": ("%", pytest.approx(-9)),
        "fvc_litres": ("L", pytest.approx(-1)),
    }


def test_value_in_another_unit_is_left_out():
    """Two values in litres and one in a unit that was not converted: told, not mixed."""
    values = "a | 2024-01-01 | 4 | L\na | 2024-04-01 | 3 | L\na | 2024-06-01 | 2500 | mL"
    found = derive(values, concept=LITRES, more="unit")[LITRES]
    assert (found.unit, found.change.change, found.notes) == ("L", pytest.approx(-1), {"other_unit": 1})


def test_upright_and_supine_are_apart():
    """Supine 50 after upright 80 is no fall of 30."""
    values = "a | 2024-01-01 | 80 | upright\na | 2024-06-01 | 76 | upright\na | 2024-06-01 | 50 | supine"
    found = derive(values, more="method")
    assert {key: (result.method, result.change.change) for key, result in found.items()} == {
        SVC: ("supine", None),
        f"{SVC}:upright": ("upright", pytest.approx(-4)),
    }


@pytest.mark.parametrize(("policy", "value"), [("highest", 78), ("mean", 75)])
def test_several_efforts_on_a_day(policy, value):
    """72, 78 and 75 on one day; one value stands for them and two are counted."""
    values = "a | 2024-01-01 | 80\n" + "\n".join(f"a | 2024-06-01 | {effort}" for effort in (72, 78, 75))
    found = derive(values, study=study_of(vital_capacity={"same_day": policy}))[SVC]
    assert [one.value for one in found.series] == [80, value]
    assert found.notes == {"same_day": 2}


def test_day_of_the_first_dose_may_have_a_value_before_and_one_after():
    """Dosed at 10:00: 70 at 09:00 is baseline, 78 at 15:00 is later though it is the higher."""
    found = derive("a | 2024-01-10T09:00:00 | 70\na | 2024-01-10T15:00:00 | 78")[SVC]
    assert [(one.value, one.is_baseline) for one in found.series] == [(70, True), (78, False)]
    assert found.change.change == pytest.approx(8)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("70 | <", "comparator"),
        ("0 |", "not_positive"),
        ("-3 |", "not_positive"),
        (" |", "no_value"),
    ],
)
def test_value_that_is_no_volume_is_left_out_with_its_reason(row, reason):
    found = derive(f"a | 2024-01-01 | 80 |\na | 2024-06-01 | {row}", more="comparator")[SVC]
    assert found.notes == {reason: 1}
    assert {one.subject_id: one.reason for one in found.excluded}["a"] == (
        f"no value after the first dose; 1 left out: {reason}"
    )
    assert found.change.note == "no subject with a baseline and a later value"


def test_value_after_death_is_left_out():
    people = "subject_id | deceased | death\na | yes | 2024-05-01"
    found = derive("a | 2024-01-01 | 80\na | 2024-04-01 | 70\na | 2024-06-01 | 10", subjects=people)[SVC]
    assert (found.change.change, found.notes) == (pytest.approx(-10), {"after_death": 1})


def test_without_baseline_or_dose_there_is_no_change_and_it_says_why():
    found = derive("a | 2024-06-01 | 80\nc | 2024-06-01 | 80")[SVC]
    assert {one.subject_id: one.reason for one in found.excluded} == {
        "a": "no value at or before the first dose",
        "b": "no usable value",
        "c": "no dose of the study's product is dated",
    }
    assert [one.change for one in found.series] == [None, None]


def test_without_treatment_the_first_value_is_baseline_and_there_is_one_period():
    """80 to 70 in 100 days."""
    values = "a | 2024-01-01 | 80\na | 2024-04-10 | 70"
    found = derive(values, study=study_of(treated=False), doses="subject_id | started")[SVC]
    assert found.change.change == pytest.approx(-10)
    assert found.periods["all"].mean_slope == pytest.approx(-10 / 100 * DAYS_PER_MONTH)
    assert found.contrasts == {}


def test_concept_that_nobody_has_is_reported_only_when_it_is_asked_for():
    """Not set: what was measured. Named: also what was not, with why each subject has no change."""
    assert list(derive(TWO)) == [SVC]
    found = derive(TWO, study=study_of(vital_capacity={"concepts": [LITRES]}))
    assert list(found) == [LITRES]
    assert (found[LITRES].baseline_n, found[LITRES].change.n, found[LITRES].series) == (0, 0, ())
    assert {one.reason for one in found[LITRES].excluded} == {"no usable value"}
