"""Survival of a cohort: where it starts, what ends it, and who is left out."""

from datetime import date

import numpy as np
import pytest
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.survival import derive_survival, times_at_risk
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.results import Results
from fhiradapter.results.survival import Survival

MONTH = 30.4375

# a died after 100 days, b was last seen after 200, c died after 300, d was last seen after 400.
SUBJECTS = """
subject_id | deceased | death
a          | yes      | 2024-04-10
b          |          |
c          | yes      | 2024-10-27
d          |          |
"""
DOSES = """
subject_id | started
a          | 2024-01-01
b          | 2024-01-01
c          | 2024-01-01
d          | 2024-01-01
"""
SCORES = """
subject_id | measured   | value
b          | 2024-07-19 | 30
d          | 2025-02-04 | 30
"""


def survival(study=None, **tables) -> Survival:
    cohort = cohort_of(**tables)
    study = study or study_of()
    return derive_survival(cohort, study, derive_timeline(cohort, study))


def days(found: Survival) -> dict[str, tuple[int, bool]]:
    return {row.subject_id: (round(row.months * MONTH), row.event) for row in found.by_subject_rows}


def test_days_from_the_first_dose_to_death_or_last_contact():
    """S = 3/4 after the first death and 3/8 after the second, with two of four left."""
    found = survival(subjects=SUBJECTS, exposures=DOSES, measurements=SCORES)
    assert days(found) == {"a": (100, True), "b": (200, False), "c": (300, True), "d": (400, False)}
    assert [step.survival for step in found.overall.steps] == pytest.approx([3 / 4, 3 / 4, 3 / 8, 3 / 8])
    assert found.overall.median == pytest.approx(300 / MONTH)
    assert found.overall.person_months == pytest.approx(1000 / MONTH)
    # 2 deaths in 1000 days: 73.05 per 100 years of 365.25 days.
    assert found.overall.rate == pytest.approx(2 / (1000 / 365.25) * 100)
    assert (found.origin, found.excluded, found.arms) == ("first_dose", (), {})


def test_numbers_at_risk_stand_at_months_that_people_count_in():
    """13.1 months: every second month would be seven, every third is five."""
    found = survival(subjects=SUBJECTS, exposures=DOSES, measurements=SCORES)
    assert found.times == (0, 2, 4, 6, 8, 10, 12)
    assert found.overall.at_risk == (4, 4, 3, 3, 2, 1, 1)
    assert times_at_risk(0) == (0,)
    assert times_at_risk(120) == (0, 24, 48, 72, 96, 120)


def test_nobody_died_is_said_in_words():
    """A flat curve is no proof: the median is not reached and the rate has an upper limit."""
    found = survival(exposures=DOSES, measurements=SCORES)
    assert found.cautions == ("Nobody died: median not reached.",)
    assert (found.overall.events, found.overall.median, found.overall.rate) == (0, None, 0)
    # Exact Poisson: -ln(0.025) = 3.689 events in the 600 days of b and d, and a and c were seen on day 0.
    assert found.overall.rate_interval == pytest.approx((0, 3.688879 / (600 / 365.25) * 100), rel=1e-5)


def test_arms_have_their_curves_and_a_log_rank_test():
    """Arm x lost both: 1 at 100 and 1 at 300 days. Expected of x: 2/4 + 1/2 = 1; variance 1/4 + 1/4.

    Chi-square = (2 - 1)^2 / (1/2) = 2.
    """
    study = study_of(subjects={"arms": {"a": "x", "c": "x", "b": "y", "d": "y"}})
    found = survival(study, subjects=SUBJECTS, exposures=DOSES, measurements=SCORES)
    assert {arm: (curve.n, curve.events) for arm, curve in found.arms.items()} == {"x": (2, 2), "y": (2, 0)}
    assert found.log_rank.arms == ("x", "y")
    assert found.log_rank.observed == (2, 0)
    assert found.log_rank.expected == pytest.approx((1, 1))
    assert found.log_rank.chi_square == pytest.approx(2)


def test_subject_without_an_arm_counts_overall_only():
    study = study_of(subjects={"arms": {"a": "x", "b": "y", "d": "y"}})
    found = survival(study, subjects=SUBJECTS, exposures=DOSES, measurements=SCORES)
    assert (found.overall.n, sum(curve.n for curve in found.arms.values())) == (4, 3)
    assert any("1 without an arm" in caution for caution in found.cautions)


def test_one_arm_is_no_comparison():
    study = study_of(subjects={"arms": dict.fromkeys("abcd", "x")})
    found = survival(study, subjects=SUBJECTS, exposures=DOSES, measurements=SCORES)
    assert (found.arms, found.log_rank) == ({}, None)


def test_death_on_the_day_of_the_first_dose_is_an_event_at_time_zero():
    found = survival(
        subjects="subject_id | deceased | death\ns1 | yes | 2024-01-01",
        exposures="subject_id | started\ns1 | 2024-01-01",
    )
    assert days(found) == {"s1": (0, True)}
    assert (found.overall.median, found.overall.rate) == (0, None)


def test_who_has_no_time_at_risk_is_named_with_the_reason():
    """No dose; death before the dose."""
    found = survival(
        subjects="subject_id | deceased | death\nearly | yes | 2023-12-01\nundosed | |",
        exposures="subject_id | started\nearly | 2024-01-01",
        measurements="subject_id | measured | value\nundosed | 2024-01-01 | 40",
    )
    reasons = {exclusion.subject_id: exclusion.reason for exclusion in found.excluded}
    assert reasons["early"] == "died before the time origin"
    assert reasons["undosed"].startswith("no dated dose: no time origin")
    assert (found.overall.n, found.by_subject_rows, found.times) == (0, (), (0,))


def test_index_origin_counts_the_untreated_from_their_first_score():
    study = study_of(survival={"origin": "index"})
    found = survival(
        study,
        exposures="subject_id | started\ns1 | 2024-01-11",
        measurements="subject_id | measured | value\ns1 | 2024-01-01 | 40\ns2 | 2024-01-01 | 40\n"
        "s1 | 2024-01-31 | 40\ns2 | 2024-01-31 | 40",
    )
    assert days(found) == {"s1": (20, False), "s2": (30, False)}


def test_study_without_treatment_counts_from_the_first_score():
    found = survival(study_of(treated=False), measurements=SCORES)
    assert found.origin == "first_score"
    assert days(found) == {"b": (0, False), "d": (0, False)}


def test_onset_origin_warns_of_left_truncation():
    study = study_of(survival={"origin": "onset"})
    found = survival(
        study,
        events="subject_id | started\ns1 | 2023-01-01",
        measurements="subject_id | measured | value\ns1 | 2024-01-01 | 40\ns2 | 2024-01-01 | 40",
    )
    assert days(found) == {"s1": (365, False)}
    assert [exclusion.reason for exclusion in found.excluded] == ["no date of symptom onset: no time origin"]
    assert any("left truncation is not corrected" in caution for caution in found.cautions)


UNDATED = {
    "subjects": "subject_id | deceased\ns1 | yes",
    "exposures": "subject_id | started\ns1 | 2024-01-01",
    "measurements": "subject_id | measured | value\ns1 | 2024-03-01 | 30",
}


def test_death_without_a_date_counts_at_the_last_contact():
    """60 days after the dose, and the reader is told."""
    found = survival(**UNDATED)
    assert days(found) == {"s1": (60, True)}
    assert "date not known" in found.by_subject_rows[0].note
    assert any(caution.startswith("1 died on an unknown date") for caution in found.cautions)


def test_death_without_a_date_can_be_excluded():
    """Policy survival.undated_death = exclude: such a death is no censoring either."""
    found = survival(study_of(survival={"undated_death": "exclude"}), **UNDATED)
    assert [exclusion.reason for exclusion in found.excluded] == ["died, date not known"]
    assert found.overall.n == 0


def test_partial_death_is_not_before_the_last_score():
    """Died "2024", scored on 1 March 2024: the earliest day that fits is 1 March, 60 days after the dose."""
    found = survival(
        subjects="subject_id | deceased | death\ns1 | yes | 2024",
        exposures="subject_id | started\ns1 | 2024-01-01",
        measurements="subject_id | measured | value\ns1 | 2024-03-01 | 30",
    )
    assert days(found) == {"s1": (60, True)}
    assert "earliest day that fits" in found.by_subject_rows[0].note


@pytest.mark.parametrize(
    ("censoring", "expected"),
    [
        ("last_contact", {"a": (100, True), "b": (60, False), "c": (0, False)}),
        ("data_cut", {"a": (100, True), "b": (182, False), "c": (182, False)}),
    ],
)
def test_data_cut_ends_follow_up(censoring, expected):
    """Cut on 1 July, 182 days after the dose: the death in October has not happened yet."""
    study = study_of(follow_up={"data_cut": "2024-07-01"}, survival={"censoring": censoring})
    scores = "subject_id | measured | value\nb | 2024-03-01 | 30\nb | 2024-07-19 | 29"
    found = survival(study, subjects=SUBJECTS, exposures=DOSES, measurements=scores)
    assert {name: days(found)[name] for name in expected} == expected


COMPOSITE = study_of(
    survival={"event": "death_ventilation_tracheostomy", "event_terms": ["Permanent ventilation"]}
)


def test_first_of_death_ventilation_and_tracheostomy_counts():
    """a: tracheostomy before death; b: a term of the study file, any case; c: only considered; d: ALS."""
    found = survival(
        COMPOSITE,
        subjects=SUBJECTS,
        exposures=DOSES,
        measurements=SCORES,
        events="""
subject_id | kind          | concept               | term                  | started    | status
a          | condition     | tracheostomy          | Tracheostomy          | 2024-02-20 | active
b          | adverse_event |                       | PERMANENT VENTILATION | 2024-03-01 | actual
c          | condition     | ventilator_dependence | Ventilator            | 2024-03-01 | unconfirmed
d          | condition     | als                   | ALS                   | 2024-03-01 | active
""",
    )
    assert days(found) == {"a": (50, True), "b": (60, True), "c": (300, True), "d": (400, False)}
    causes = {row.subject_id: row.cause for row in found.by_subject_rows}
    assert causes == {"a": "tracheostomy", "b": "PERMANENT VENTILATION", "c": "death", "d": None}
    assert any("no code says that ventilation is permanent" in caution for caution in found.cautions)


def test_the_composite_is_not_counted_unless_asked_for():
    found = survival(
        exposures=DOSES,
        events="subject_id | concept | started | status\na | tracheostomy | 2024-02-20 | active",
    )
    assert found.overall.events == 0


def test_event_before_the_origin_excludes_and_an_undated_one_is_told():
    found = survival(
        COMPOSITE,
        exposures=DOSES,
        events="subject_id | concept | started | status\na | tracheostomy | 2023-12-31 | active\n"
        "b | tracheostomy | | active\nc | tracheostomy | 2024 | active",
    )
    assert [(one.subject_id, one.reason) for one in found.excluded] == [
        ("a", "the event was before the time origin")
    ]
    assert any(caution.startswith("1 of these events without a date") for caution in found.cautions)
    assert days(found)["c"] == (0, True)  # some day of 2024: the earliest that is not before the dose


def test_empty_cohort_gives_an_empty_curve():
    found = survival()
    assert (found.overall.n, found.overall.steps, found.overall.rate, found.cautions) == (0, (), None, ())


def test_arms_in_a_hundred_subjects_keep_the_totals():
    """Every subject is in one arm, one step and one of events and censored; seed 4."""
    random = np.random.default_rng(4)
    names = [f"s{number:03d}" for number in range(100)]
    doses = "subject_id | started\n" + "\n".join(f"{name} | 2024-01-01" for name in names)
    ends = [date.fromordinal(date(2024, 1, 1).toordinal() + int(day)) for day in random.integers(0, 300, 100)]
    deaths = "subject_id | deceased | death\n" + "\n".join(
        f"{name} | yes | {end}" for name, end in zip(names[:50], ends, strict=False)
    )
    scores = "subject_id | measured | value\n" + "\n".join(
        f"{name} | {end} | 30" for name, end in zip(names[50:], ends[50:], strict=True)
    )
    study = study_of(subjects={"arms": {name: "xy"[place % 2] for place, name in enumerate(names)}})
    found = survival(study, subjects=deaths, exposures=doses, measurements=scores)
    for curve in (found.overall, *found.arms.values()):
        assert sum(step.events for step in curve.steps) == curve.events
        assert sum(step.events + step.censored for step in curve.steps) == curve.n
    assert sum(found.log_rank.observed) == 50
    assert sum(found.log_rank.expected) == pytest.approx(50)


def test_results_keep_survival_through_json():
    """An old results.json without survival is read, and a new one comes back equal."""
    from fhiradapter.analysing import analyse

    study = study_of()
    results = analyse(cohort_of(subjects=SUBJECTS, exposures=DOSES, measurements=SCORES), study)
    assert Results.from_json(results.to_json()).survival == results.survival
    assert results.policies["survival.origin"] == "first_dose"
    assert results.policies["composite.common_time"] == "carry_last"
