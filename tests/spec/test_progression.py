"""Slopes before, during and after treatment."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest
from scipy import stats
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.delta_fs import delta_fs
from fhiradapter.analysis.means import bootstrap_mean
from fhiradapter.analysis.progression import derive_progression
from fhiradapter.analysis.signed_rank import signed_rank_p
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort

MONTH = 30.4375
STUDY = study_of()

DOSES = """
subject_id | started
s1         | 2024-01-01
s1         | 2024-03-01
"""
# The washout ends 30 days after the last dose, on 2024-03-31: day 90 after the first one.
SCORES = """
subject_id | measured   | value
s1         | 2023-07-05 | 46
s1         | 2023-10-03 | 43
s1         | 2024-01-01 | 40
s1         | 2024-03-31 | 39
s1         | 2024-04-01 | 39
s1         | 2024-07-30 | 37
"""


def progression(study=STUDY, **tables):
    cohort = cohort_of(**tables)
    return derive_progression(cohort, study, derive_timeline(cohort, study))


def slopes(result):
    return {(row.subject_id, row.period): row for row in result.by_subject_rows}


def test_three_periods_of_one_subject():
    """3 points in 90 days before, 1 in 90 during, 2 in 120 after."""
    found = slopes(progression(exposures=DOSES, measurements=SCORES))
    before, during, after = (found["s1", name] for name in ("before", "during", "after"))
    assert before.slope == pytest.approx(-3 / 90 * MONTH)
    assert during.slope == pytest.approx(-1 / 90 * MONTH)
    assert after.slope == pytest.approx(-2 / 120 * MONTH)
    assert (before.points, during.points, after.points) == (3, 2, 2)
    assert (before.days, during.days, after.days) == (180, 90, 120)
    assert before.adequate
    assert during.adequate
    assert after.adequate


def test_score_of_the_first_dose_day_is_in_both_lines_and_listed_once():
    """The knot of 40 on 2024-01-01, month 0."""
    result = progression(exposures=DOSES, measurements=SCORES)
    [knot] = [score for score in result.scores if score.months == 0]
    assert (knot.value, knot.periods) == (40, ("before", "during"))
    assert len(result.scores) == 6
    assert [score.periods for score in result.scores][-3:] == [("during",), ("after",), ("after",)]


def test_standard_error_needs_three_points():
    """Three points on a line: 0. Two points: none."""
    found = slopes(progression(exposures=DOSES, measurements=SCORES))
    assert found["s1", "before"].se == pytest.approx(0, abs=1e-9)
    assert found["s1", "during"].se is None


def test_intercept_is_the_lines_height_at_the_time_origin():
    """The line before reaches 40 at the first dose, and is 46 at the first score."""
    assert slopes(progression(exposures=DOSES, measurements=SCORES))[
        "s1", "before"
    ].intercept == pytest.approx(40)
    study = study_of(progression={"time_origin": "first_score"})
    found = progression(study, exposures=DOSES, measurements=SCORES)
    assert slopes(found)["s1", "before"].intercept == pytest.approx(46)
    assert found.scores[0].months == 0


def test_slope_does_not_depend_on_the_time_origin():
    wanted = [row.slope for row in progression(exposures=DOSES, measurements=SCORES).by_subject_rows]
    study = study_of(progression={"time_origin": "first_score"})
    found = [row.slope for row in progression(study, exposures=DOSES, measurements=SCORES).by_subject_rows]
    assert found == pytest.approx(wanted)


def test_before_may_start_at_onset_with_the_full_score():
    """Onset 2023-01-06 is day -360: the line through 48, 46, 43, 40 on days -360, -180, -90, 0."""
    days, points = [-360, -180, -90, 0], [48, 46, 43, 40]
    study = study_of(progression={"before_start": "onset"})
    tables = {"exposures": DOSES, "measurements": SCORES}
    result = progression(study, events="subject_id | started\ns1 | 2023-01-06", **tables)
    row = slopes(result)["s1", "before"]
    assert row.slope == pytest.approx(np.polyfit(days, points, 1)[0] * MONTH)
    assert (row.points, row.days) == (4, 360)
    assert len(result.scores) == 6
    assert any("assumed" in caution for caution in result.cautions)
    without = slopes(progression(study, **tables))["s1", "before"]
    assert (without.adequate, "no onset date" in without.reason) == (False, True)


def test_before_may_be_a_window():
    """Within 100 days: 43 and 40."""
    study = study_of(progression={"before_start": "within_days", "before_within_days": 100})
    result = progression(study, exposures=DOSES, measurements=SCORES)
    row = slopes(result)["s1", "before"]
    assert (row.points, row.days) == (2, 90)
    assert result.score_notes == {"in_no_period": 1}


REASONS = """
subject_id | measured   | value
one        | 2024-01-01 | 40
short      | 2024-01-01 | 40
short      | 2024-02-01 | 39
raters     | 2024-01-01 | 40
raters     | 2024-01-01 | 41
"""


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("none", "no score in this period"),
        ("one", "1 of the 2 scores that are needed"),
        ("short", "scores span 31 of the 90 days that are needed"),
        ("raters", "all scores at one time"),
    ],
)
def test_an_inadequate_period_says_why(subject, reason):
    study = study_of(treated=False, progression={"same_day": "all"})
    result = progression(study, measurements=REASONS, subjects="subject_id\nnone")
    assert slopes(result)[subject, "all"].reason == reason
    assert {row.subject_id: row.reason for row in result.periods["all"].excluded}[subject] == reason


SIX = [(-1.0, -0.5), (-2.0, -1.0), (-1.5, -1.2), (-1.2, -1.4), (-2.5, -0.5), (-1.8, -0.3)]


def six(pairs=SIX):
    """Subjects that lose some points per 100 days before and during treatment."""
    measured = ["subject_id | measured | value"]
    doses = ["subject_id | started"]
    for number, (before, during) in enumerate(pairs):
        doses += [f"s{number} | 2024-01-01", f"s{number} | 2024-04-01"]
        measured += [
            f"s{number} | 2023-09-23 | {40 - before}",
            f"s{number} | 2024-01-01 | 40",
            f"s{number} | 2024-04-10 | {40 + during}",
        ]
    return {"exposures": "\n".join(doses), "measurements": "\n".join(measured)}


def test_periods_are_summarised_over_subjects():
    """Mean, SD, median and t interval as scipy gives them for the six slopes."""
    result = progression(**six())
    wanted = np.array([before for before, _ in SIX]) / 100 * MONTH
    before = result.periods["before"]
    interval = stats.ttest_1samp(wanted, 0).confidence_interval(0.95)
    assert before.n == 6
    assert before.mean_slope == pytest.approx(wanted.mean())
    assert before.sd == pytest.approx(wanted.std(ddof=1))
    assert before.median_slope == pytest.approx(np.median(wanted))
    assert before.ci95 == pytest.approx((interval.low, interval.high))
    low, high = before.bootstrap
    assert before.ci95[0] < low < wanted.mean() < high < before.ci95[1]


def test_paired_contrast_agrees_with_scipy():
    result = progression(**six())
    before, during = (np.array(side) / 100 * MONTH for side in zip(*SIX, strict=True))
    contrast = result.contrasts["during_minus_before"]
    test = stats.ttest_rel(during, before)
    assert contrast.estimate == pytest.approx((during - before).mean())
    assert contrast.se == pytest.approx((during - before).mean() / test.statistic)
    assert contrast.wilcoxon_p == pytest.approx(stats.wilcoxon(during - before, method="exact").pvalue)
    assert result.contrasts["after_minus_before"].n == 0
    assert result.contrasts["after_minus_before"].estimate is None


def test_smallest_p_of_six_is_told():
    """All six better: 2 x 1/64."""
    result = progression(**six([(-2.0 - i / 10, -1.0) for i in range(6)]))
    assert result.contrasts["during_minus_before"].wilcoxon_p == 0.03125
    assert any("0.03125" in caution for caution in result.cautions)
    assert any("regression to the mean" in caution for caution in result.cautions)
    assert any("decelerate" in caution for caution in result.cautions)


def test_signed_rank_counts_ties_and_leaves_out_zeros():
    """Differences 0, 1, 1, -1, 2: without 0, mean ranks 2, 2, 2 and 4; W- = 2.

    Of the 16 sign patterns, 4 have a negative rank sum of at most 2: none, and each single 2. p = 8/16.
    """
    assert signed_rank_p(np.array([0.0, 1.0, 1.0, -1.0, 2.0])) == 0.5
    assert signed_rank_p(np.zeros(4)) == 1.0
    assert signed_rank_p(np.array([])) is None


@pytest.mark.parametrize("n", [2, 7, 25, 40])
def test_signed_rank_agrees_with_scipy_without_ties(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_many_pairs_use_the_normal_approximation():
    differences = np.random.default_rng(5).normal(0.1, 1, 400)
    wanted = stats.wilcoxon(differences, method="approx", correction=True).pvalue
    assert signed_rank_p(differences) == pytest.approx(wanted, rel=1e-9)


def test_bootstrap_of_two_values_is_known():
    """Means of two draws from 0 and 1: 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    values, generator = np.array([0.0, 1.0]), np.random.default_rng(1)
    wide = bootstrap_mean(values, samples=4000, confidence=0.95, generator=generator)
    narrow = bootstrap_mean(values, samples=4000, confidence=0.40, generator=generator)
    assert wide == (0.0, 1.0)
    assert narrow == (0.5, 0.5)


def test_same_seed_same_bootstrap():
    first, second = progression(**six()), progression(**six())
    assert first.periods["during"].bootstrap == second.periods["during"].bootstrap
    other = progression(study_of(statistics={"seed": 7}), **six())
    assert other.periods["during"].bootstrap != first.periods["during"].bootstrap


def test_mixed_model_has_the_slopes_of_the_periods():
    """Everybody loses 1 a month before and 0.5 during treatment, give or take a little: balanced means."""
    result = progression(**six())
    model = result.mixed_model
    before, during = np.array(SIX).mean(axis=0) / 100 * MONTH
    assert set(model.coefficients) == {"intercept", "before", "during"}
    assert model.coefficients["before"] == pytest.approx(before, abs=1e-6)
    assert model.coefficients["during"] == pytest.approx(during, abs=1e-6)
    assert model.contrasts["during_minus_before"].estimate == pytest.approx(during - before, abs=1e-6)
    assert any("no slope after" in caution for caution in result.cautions)


def test_mixed_model_of_few_subjects_says_why_there_is_none():
    result = progression(exposures=DOSES, measurements=SCORES)
    assert result.mixed_model is None
    assert result.mixed_model_note == "subjects with scores: 1, too few for a mixed model, which needs 3"


def test_all_scores_equal_give_slopes_of_zero():
    result = progression(**six([(0.0, 0.0)] * 6))
    assert result.periods["during"].mean_slope == pytest.approx(0)
    assert result.periods["during"].sd == pytest.approx(0)
    assert result.contrasts["during_minus_before"].wilcoxon_p == 1.0
    model = result.mixed_model
    assert result.mixed_model_note is None
    assert (model.criterion, model.singular, model.residual_sd) == (None, True, 0.0)
    assert [model.coefficients[name] for name in ("before", "during")] == [0.0, 0.0]
    assert any("no variance can be estimated" in caution for caution in result.cautions)
    assert b'"criterion":null' in msgspec.json.encode(model)


def test_no_visit_after_the_first_dose():
    """Before is estimated, during and after say that there is no score or only one."""
    tables = six()
    kept = [line for line in tables["measurements"].splitlines() if "2024-04" not in line]
    result = progression(exposures=tables["exposures"], measurements="\n".join(kept))
    assert (result.periods["before"].n, result.periods["during"].n, result.periods["after"].n) == (6, 0, 0)
    assert {row.reason for row in result.periods["after"].excluded} == {"no score in this period"}
    assert any("cannot be compared" in caution for caution in result.cautions)


def test_subject_without_a_dose_is_in_no_period_and_named():
    result = progression(
        exposures=DOSES, measurements=SCORES + "s2 | 2024-01-01 | 30\ns2 | 2025-01-01 | 20\n"
    )
    assert {row.reason for row in result.periods["before"].excluded} == {
        "no dose of the study's product is dated"
    }
    assert result.score_notes["no_time_origin"] == 2
    assert result.score_notes["in_no_period"] == 2
    flags = [score.flags for score in result.scores if score.subject_id == "s2"]
    assert [flag[0] for flag in flags] == ["no_time_origin", "large_change"]


def test_scores_after_death_are_left_out_and_counted():
    people = "subject_id | death\ns1 | 2024-05-01"
    result = progression(subjects=people, exposures=DOSES, measurements=SCORES)
    assert slopes(result)["s1", "after"].points == 1
    assert result.score_notes == {"after_death": 1}


def test_death_before_the_first_dose_leaves_no_score_during_treatment():
    people = "subject_id | death\ns1 | 2023-12-01"
    result = progression(subjects=people, exposures=DOSES, measurements=SCORES)
    assert slopes(result)["s1", "before"].points == 2
    assert slopes(result)["s1", "during"].reason == "no score in this period"


def test_time_may_be_counted_in_instants():
    """12 hours more than 100 days: 1 point in 100.5 days, against 100 local days."""
    rows = """
subject_id | measured            | value
s1         | 2024-01-01T06:00:00 | 40
s1         | 2024-04-10T18:00:00 | 39
"""
    by_day = slopes(progression(study_of(treated=False), measurements=rows))["s1", "all"]
    study = study_of(treated=False, progression={"time_scale": "instant"})
    by_instant = slopes(progression(study, measurements=rows))["s1", "all"]
    assert by_day.slope == pytest.approx(-MONTH / 100)
    assert by_instant.slope == pytest.approx(-MONTH / 100.5)


def test_day_without_an_instant_begins_at_midnight():
    """100 days and 6 hours from a day to 06:00 of another."""
    row = {"subject_id": "s1", "concept": "alsfrs_r_total", "status": "final"}
    later = datetime(2024, 4, 10, 6, tzinfo=UTC)
    rows = [
        {**row, "measured_on": date(2024, 1, 1), "value": 40.0},
        {**row, "measured_on": later.date(), "measured_at": later, "value": 39.0},
    ]
    cohort = Cohort.from_rows({"measurements": rows})
    study = study_of(treated=False, progression={"time_scale": "instant"})
    found = slopes(derive_progression(cohort, study, derive_timeline(cohort, study)))["s1", "all"]
    assert found.slope == pytest.approx(-MONTH / 100.25)


def test_listed_subject_without_data_is_told():
    study = study_of(subjects={"ids": ["s1", "ghost"]})
    result = progression(study, exposures=DOSES, measurements=SCORES)
    assert any("ghost" in caution for caution in result.cautions)


@pytest.mark.parametrize("treated", [True, False])
def test_empty_cohort_gives_empty_results(treated):
    study = study_of(treated=treated)
    result = derive_progression(Cohort.from_rows({}), study, derive_timeline(Cohort.from_rows({}), study))
    assert all(period.n == 0 for period in result.periods.values())
    assert result.mixed_model is None
    assert len(result.by_subject) == 0


def test_delta_fs_is_undefined_without_an_onset_before_the_score():
    """(48 - 36) / 8 = 1.5; onset on the day of the score, after it, or unknown: undefined."""
    assert delta_fs([36, 36, 36, 36], [8, 0, -1, np.nan]) == pytest.approx([1.5] + [np.nan] * 3, nan_ok=True)
