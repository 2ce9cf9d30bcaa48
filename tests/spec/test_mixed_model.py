"""The mixed model gives lme4's numbers, agrees with statsmodels, and says when it cannot be trusted."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from fhiradapter.analysis import mixed_model, sufficient_statistics
from fhiradapter.analysis.sufficient_statistics import SufficientStatistics

HERE = Path(__file__).parent
NATURAL_HISTORY = HERE.parents[1] / "examples" / "als_natural_history" / "data"
SEEDS = range(20)


def line(time: object) -> np.ndarray:
    months = np.asarray(time, dtype=float)
    return np.column_stack([np.ones_like(months), months])


@pytest.fixture(scope="module")
def sleepstudy() -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / "sleepstudy.csv")


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    return pd.read_csv(NATURAL_HISTORY / "timepoints.csv")


def synthetic(seed: int, *, subjects: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unbalanced synthetic scores: 2 to 9 visits at irregular months, rows shuffled."""
    random = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), random.integers(2, 10, subjects))
    months = random.uniform(0, 24, len(subject))
    start, slope = random.multivariate_normal([38, -0.9], [[36, 0.6], [0.6, 0.2]], subjects).T
    score = start[subject] + slope[subject] * months + random.normal(0, 2.5, len(subject))
    order = random.permutation(len(subject))
    return score[order], line(months[order]), subject[order]


def test_sleepstudy_by_reml_is_lme4s(sleepstudy: pd.DataFrame) -> None:
    """lmer(Reaction ~ Days + (Days | Subject)): the textbook fit, all of its numbers."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit(sleepstudy.Reaction, design, design, sleepstudy.Subject, names=["start", "day"])
    assert model.coefficients == pytest.approx([251.405105, 10.467286], abs=1e-6)
    assert model.standard_errors == pytest.approx([6.8246, 1.5458], abs=1e-4)
    assert model.random_sd == pytest.approx([24.7405, 5.9221], abs=1e-4)
    assert model.random_correlation == pytest.approx(0.0656, abs=1e-4)
    assert model.residual_sd == pytest.approx(25.5918, abs=1e-4)
    assert model.criterion == pytest.approx(1743.6283, abs=1e-4)
    assert (model.converged, model.singular, model.fallback, model.message) == (True, False, None, None)
    assert (model.n_observations, model.n_groups, model.names) == (180, 18, ("start", "day"))


def test_sleepstudy_by_maximum_likelihood_is_lme4s(sleepstudy: pd.DataFrame) -> None:
    """lmer(..., REML = FALSE), as printed in the documentation of lme4 and of MixedModels.jl."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit(sleepstudy.Reaction, design, design, sleepstudy.Subject, method="ML")
    assert model.criterion == pytest.approx(1751.9393, abs=1e-4)
    assert model.standard_errors == pytest.approx([6.6323, 1.5022], abs=1e-4)
    assert model.random_sd == pytest.approx([23.7805, 5.7168], abs=1e-3)
    assert model.residual_sd == pytest.approx(25.5918, abs=1e-4)


def test_sleepstudy_with_a_random_intercept_is_lme4s(sleepstudy: pd.DataFrame) -> None:
    """lmer(Reaction ~ Days + (1 | Subject)): variances 1378.2 and 960.5, criterion 1786.5."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit(sleepstudy.Reaction, design, design[:, :1], sleepstudy.Subject)
    assert model.random_sd**2 == pytest.approx([1378.2], abs=0.05)
    assert model.residual_sd**2 == pytest.approx(960.5, abs=0.05)
    assert model.criterion == pytest.approx(1786.5, abs=0.05)
    assert model.standard_errors == pytest.approx([9.7467, 0.8042], abs=1e-4)
    assert np.isnan(model.random_correlation)


def test_predicted_random_effects_are_lme4s(sleepstudy: pd.DataFrame) -> None:
    """ranef() of the textbook fit for its first two subjects, found by their labels."""
    design = line(sleepstudy.Days)
    effects = mixed_model.fit(sleepstudy.Reaction, design, design, sleepstudy.Subject).random_effects
    assert effects.shape == (18, 2)
    assert effects.loc[308].to_numpy() == pytest.approx([2.2586, 9.1990], abs=1e-3)
    assert effects.loc[309].to_numpy() == pytest.approx([-40.3986, -8.6197], abs=1e-3)


def test_natural_history_of_128_people_is_lme4s(visits: pd.DataFrame) -> None:
    """All 666 real visits, time as given: 49.270915 - 0.766955 per month."""
    design = line(visits.time)
    model = mixed_model.fit(visits.ALSFRSR, design, design, visits.patient)
    assert model.coefficients == pytest.approx([49.270915, -0.766955], abs=1e-6)
    assert model.standard_errors == pytest.approx([0.817516, 0.048420], abs=1e-6)
    assert model.residual_sd == pytest.approx(2.874674, abs=1e-6)
    assert (model.n_groups, model.converged, model.singular) == (128, True, False)


def test_natural_history_of_one_rater_since_the_first_visit(visits: pd.DataFrame) -> None:
    """38.228118 - 0.852655 per month, with standard errors from the textbook formula written out in full.

    The reference standard errors 0.599560 and 0.060551 are statsmodels': it inverts the curvature of
    coefficients and variances together, 0.1 and 2 % wider here than lme4's s^2 (X'V^-1 X)^-1.
    """
    rated = visits[visits.rater == "first"]
    design = line(rated.time - rated.groupby("patient").time.transform("min"))
    model = mixed_model.fit(rated.ALSFRSR, design, design, rated.patient)
    assert model.coefficients == pytest.approx([38.228118, -0.852655], abs=2e-6)
    assert model.standard_errors == pytest.approx([0.599560, 0.060551], rel=0.025)

    same = np.equal.outer(rated.patient.to_numpy(), rated.patient.to_numpy())
    variance = design @ model.random_covariance @ design.T * same + model.residual_sd**2 * np.eye(len(rated))
    information = design.T @ np.linalg.solve(variance, design)
    assert model.standard_errors == pytest.approx(np.sqrt(np.diag(np.linalg.inv(information))), rel=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_statsmodels_gives_the_same_fixed_effects(seed: int) -> None:
    """Twenty unbalanced synthetic data sets, seeds 0 to 19.

    statsmodels loses its way on some of them when its random slope is in raw months, so it gets the model
    with time centred and scaled in Z: to an unstructured covariance that is the same.
    """
    score, design, subject = synthetic(seed)
    model = mixed_model.fit(score, design, design, subject)
    centred = line((design[:, 1] - 12) / 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns on the way to its optimum
        other = MixedLM(score, design, groups=subject, exog_re=centred).fit(method="bfgs", gtol=1e-8)
    assert other.converged
    assert model.converged
    assert model.coefficients == pytest.approx(other.fe_params, rel=1e-7)
    assert model.criterion == pytest.approx(-2 * other.llf, abs=1e-8)
    assert model.residual_sd**2 == pytest.approx(other.scale, rel=1e-6)
    assert model.random_sd[1] == pytest.approx(np.sqrt(other.cov_re[1, 1]) / 7, rel=1e-6)


def minus_twice_log_density(
    model: mixed_model.MixedModel,
    score: np.ndarray,
    design: np.ndarray,
    subject: np.ndarray,
    *,
    wider: float = 1.0,
) -> float:
    """-2 log density of all scores, normal within each subject, from scipy; random effects scaled at will."""
    total = 0.0
    for label in np.unique(subject):
        rows = subject == label
        mine = design[rows]
        variance = mine @ model.random_covariance @ mine.T * wider + model.residual_sd**2 * np.eye(len(mine))
        total += stats.multivariate_normal.logpdf(score[rows], mine @ model.coefficients, variance)
    return -2 * total


def test_the_criterion_of_ml_is_the_density_of_the_data() -> None:
    """-2 log density of the data at the estimates, subject by subject, and none nearby is higher."""
    score, design, subject = synthetic(3, subjects=15)
    model = mixed_model.fit(score, design, design, subject, method="ML")
    assert model.criterion == pytest.approx(minus_twice_log_density(model, score, design, subject), abs=1e-8)
    for wider in (0.98, 1.02):
        assert minus_twice_log_density(model, score, design, subject, wider=wider) > model.criterion


def test_three_random_effects_reach_the_density_too() -> None:
    """With q = 3 as well; the correlation is a matrix then."""
    random = np.random.default_rng(5)
    subject, months = np.repeat(np.arange(30), 8), np.tile(np.arange(8.0), 30)
    design = np.column_stack([np.ones(240), months, (months - 3.5) ** 2])
    course = np.einsum("ij,ij->i", design, random.normal([40, -1, 0], [4, 0.5, 0.2], (30, 3))[subject])
    score = course + random.normal(0, 1, 240)
    model = mixed_model.fit(score, design, design, subject, method="ML")
    assert model.converged
    assert np.shape(model.random_correlation) == (3, 3)
    assert model.criterion == pytest.approx(minus_twice_log_density(model, score, design, subject), abs=1e-8)
    for wider in (0.98, 1.02):
        assert minus_twice_log_density(model, score, design, subject, wider=wider) > model.criterion


def test_one_way_layout_has_a_closed_form() -> None:
    """Scores (3, 5), (4, 6), (6, 9).

    Means 4, 5, 7.5 around 5.5: mean square between 2 (2.25 + 0.25 + 4) / 2 = 6.5, within (2 + 2 + 4.5) / 3.
    REML: residual variance 8.5 / 3, subject variance (6.5 - 8.5 / 3) / 2, standard error sqrt(6.5 / 6).
    """
    model = mixed_model.fit([3, 5, 4, 6, 6, 9], np.ones((6, 1)), np.ones((6, 1)), list("aabbcc"))
    assert model.coefficients == pytest.approx([5.5])
    assert model.residual_sd**2 == pytest.approx(8.5 / 3)
    assert model.random_sd**2 == pytest.approx([(6.5 - 8.5 / 3) / 2])
    assert model.standard_errors == pytest.approx([np.sqrt(6.5 / 6)])


def test_months_or_days_and_any_time_zero_are_one_model() -> None:
    """The slope per day is the slope per month / 30.4375; spread and correlation at the same origin stay."""
    score, design, subject = synthetic(7)
    months = mixed_model.fit(score, design, design, subject)
    in_days = line(design[:, 1] * 30.4375)
    days = mixed_model.fit(score, in_days, in_days, subject)
    assert days.coefficients[1] * 30.4375 == pytest.approx(months.coefficients[1], rel=1e-9)
    assert days.random_correlation == pytest.approx(months.random_correlation, rel=1e-6)
    later = line(design[:, 1] + 2000)
    shifted = mixed_model.fit(score, later, later, subject)
    assert shifted.coefficients[1] == pytest.approx(months.coefficients[1], rel=1e-7)
    assert shifted.residual_sd == pytest.approx(months.residual_sd, rel=1e-7)
    assert not shifted.singular


def test_partitions_of_subjects_combine_to_the_whole() -> None:
    """Three parts summarised apart give the fit of all rows together."""
    score, design, subject = synthetic(11)
    whole = mixed_model.fit(score, design, design, subject)
    parts = [
        SufficientStatistics.from_rows(score[rows], design[rows], design[rows], subject[rows])
        for rows in (subject % 3 == part for part in range(3))
    ]
    combined = mixed_model.fit_statistics(SufficientStatistics.concatenate(parts))
    assert combined.coefficients == pytest.approx(whole.coefficients, rel=1e-9)
    assert combined.criterion == pytest.approx(whole.criterion, rel=1e-10)
    assert combined.n_observations == whole.n_observations
    ours, theirs = combined.random_effects.sort_index(), whole.random_effects.sort_index()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def test_a_subject_in_two_partitions_is_refused() -> None:
    """Half a subject is not a subject: the sums would be of two people."""
    part = SufficientStatistics.from_rows([1.0, 2.0], np.ones((2, 1)), np.ones((2, 1)), ["a", "b"])
    with pytest.raises(ValueError, match="in more than one partition"):
        SufficientStatistics.concatenate([part, part])
    with pytest.raises(ValueError, match="nothing to concatenate"):
        SufficientStatistics.concatenate([])


def test_blocks_of_rows_cut_through_subjects_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows at a time give the products of each subject's own matrix, W'W."""
    monkeypatch.setattr(sufficient_statistics, "ROWS_AT_ONCE", 7)
    score, design, subject = synthetic(2)
    summary = SufficientStatistics.from_rows(score, design, design, subject)
    for position, label in enumerate(summary.groups):
        rows = subject == label
        mine = np.column_stack([design[rows], design[rows], score[rows]])
        np.testing.assert_allclose(summary.products[position], mine.T @ mine, rtol=1e-12)
        assert summary.counts[position] == rows.sum()


def test_equal_subject_means_make_a_singular_model() -> None:
    """(1, 2, 3) twice: no variance between subjects is left, and the residual variance is 4 / 5."""
    model = mixed_model.fit([1, 2, 3, 1, 2, 3], np.ones((6, 1)), np.ones((6, 1)), list("aaabbb"))
    assert model.singular
    assert model.converged
    assert model.random_sd.tolist() == [0.0]
    assert model.residual_sd**2 == pytest.approx(4 / 5)
    assert "without variance" in str(model.message)


def parallel_subjects() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Three subjects 10 points apart whose visits rise and fall alike: slopes do not differ at all."""
    wobble = np.array([0.5, -1.0, 1.5, -1.0])
    score = np.concatenate([level + wobble for level in (20.0, 30.0, 40.0)])
    return score, line(np.tile(np.arange(4.0), 3)), list("aaaabbbbcccc")


def test_plain_fit_reports_singular_and_keeps_the_model() -> None:
    """The policy is the caller's: fit returns both random effects, flagged."""
    score, design, subject = parallel_subjects()
    model = mixed_model.fit(score, design, design, subject)
    assert (model.singular, model.fallback, len(model.random_sd)) == (True, None, 2)


def test_fallback_to_a_random_intercept_is_said() -> None:
    """The slope of (0.5, -1, 1.5, -1) is -0.2; the model used has one random effect, and says why."""
    score, design, subject = parallel_subjects()
    model = mixed_model.fit_with_fallback(score, design, design, subject)
    assert "random intercept only" in str(model.fallback)
    assert "singular" in str(model.fallback)
    assert len(model.random_sd) == 1
    assert model.coefficients[1] == pytest.approx(-0.2)
    summary = SufficientStatistics.from_rows(score, design, design, subject)
    again = mixed_model.fit_statistics(summary, fallback=True)
    assert again.fallback == model.fallback
    assert again.criterion == pytest.approx(model.criterion, abs=1e-6)


def test_no_fallback_where_none_is_needed(sleepstudy: pd.DataFrame) -> None:
    """A sound fit is returned as it is."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit_with_fallback(sleepstudy.Reaction, design, design, sleepstudy.Subject)
    assert (model.fallback, len(model.random_sd)) == (None, 2)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_all_scores_equal_is_a_flat_line(method: mixed_model.Method) -> None:
    """48 at every visit: slope exactly 0, no residual, singular, and a message; no warning on the way."""
    design = line(np.tile(np.arange(5.0), 6))
    subject = np.repeat(np.arange(6), 5)
    for model in (
        mixed_model.fit(np.full(30, 48.0), design, design, subject, method=method),
        mixed_model.fit_statistics(
            SufficientStatistics.from_rows(np.full(30, 48.0), design, design, subject), method=method
        ),
    ):
        assert model.coefficients == pytest.approx([48.0, 0.0], abs=1e-9)
        assert model.coefficients[1] == 0.0
        assert (model.residual_sd, model.singular, model.criterion) == (0.0, True, -np.inf)
        assert "explain every value" in str(model.message)
        difference = mixed_model.contrast(model, [0, 1])
        assert (difference.se, difference.ci) == (0.0, (0.0, 0.0))


def test_each_subject_on_its_own_exact_line_does_not_converge() -> None:
    """Nothing is left for the residual: the likelihood has no maximum, and the fit says so."""
    score = np.concatenate([40 - 0.5 * np.arange(4.0), 36 - 1.0 * np.arange(4.0), 44 - 2.5 * np.arange(4.0)])
    design = line(np.tile(np.arange(4.0), 3))
    model = mixed_model.fit(score, design, design, list("aaaabbbbcccc"))
    assert not model.converged
    assert "residual variance" in str(model.message)
    assert model.coefficients == pytest.approx([40.0, -4 / 3], abs=1e-5)
    assert "did not converge" in str(
        mixed_model.fit_with_fallback(score, design, design, list("aaaabbbbcccc")).fallback
    )


def test_one_visit_per_subject_cannot_separate_the_variances() -> None:
    """Between and within subjects are the same thing then: not converged, with the reason."""
    score = [40.0, 35.0, 38.0, 30.0, 33.0]
    model = mixed_model.fit(score, np.ones((5, 1)), np.ones((5, 1)), list("abcde"))
    assert not model.converged
    assert "cannot tell the variances apart" in str(model.message)


def test_labels_can_be_text_or_pairs_and_rows_in_any_order() -> None:
    """Subjects come out in the order of their first row, whatever their labels are."""
    score, design, subject = synthetic(4, subjects=8)
    numbered = mixed_model.fit(score, design, design, subject)
    for labels in ([f"Patient/{label}" for label in subject], [("site", int(label)) for label in subject]):
        model = mixed_model.fit(score, design, design, labels)
        assert model.criterion == pytest.approx(numbered.criterion, rel=1e-12)
        assert list(model.random_effects.index) == list(dict.fromkeys(labels))


ROWS = line(np.tile(np.arange(4.0), 3))
SCORES = np.array([40.0, 39, 37, 36, 44, 44, 42, 43, 38, 35, 34, 31])
SUBJECTS = np.repeat([1, 2, 3], 4)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"y": SCORES[:-1]}, "^X: has 12 rows, y has 11"),
        ({"y": ROWS}, "^y: expected 1 dimension"),
        ({"y": np.where(SCORES == 31, np.nan, SCORES)}, "^y: 1 value.*NaN"),
        ({"y": ["high"] * 12}, "^y: not an array of numbers"),
        ({"X": ROWS[:, 1]}, "^X: expected 2 dimension"),
        ({"X": np.where(ROWS == 3, np.inf, ROWS)}, "^X: 3 value.*infinite"),
        ({"X": np.column_stack([ROWS, 2 - ROWS[:, 1] / 3])}, "^X: determined by the columns before: x2$"),
        ({"X": np.column_stack([ROWS, ROWS[:, 1] * 0])}, "^X: determined by the columns before: x2$"),
        ({"X": np.vander(np.arange(12.0) / 12, 12)}, "^y: 12 row.* too few for 12 coefficients"),
        ({"Z": ROWS[:6]}, "^Z: has 6 rows, y has 12"),
        ({"Z": np.ones((12, 2))}, "^Z: determined by the columns before: number 1"),
        ({"groups": SUBJECTS[:5]}, "^groups: has 5 labels, y has 12"),
        ({"groups": ["a"] * 12}, "^groups: at least two"),
        ({"groups": ["a"] * 6 + [None] * 6}, "^groups: 6 row.* no label"),
        ({"method": "OLS"}, "^method: expected REML or ML, got 'OLS'"),
        ({"names": ["slope"]}, "^names: 1 name.* for 2 column"),
    ],
)
def test_bad_input_is_named(replaced: dict[str, object], message: str) -> None:
    """Each error begins with the argument at fault and says what is wrong with it."""
    arguments = {"y": SCORES, "X": ROWS, "Z": ROWS, "groups": SUBJECTS, **replaced}
    with pytest.raises(ValueError, match=message):
        mixed_model.fit(**arguments)


def test_aliased_columns_are_given_by_name() -> None:
    """Nobody was seen after treatment: the column of that period is zero, and is named."""
    design = mixed_model.three_period_design(ROWS[:, 1], 1.0, np.inf)
    with pytest.raises(ValueError, match=r"columns before: after$"):
        mixed_model.fit(SCORES, design, ROWS, SUBJECTS, names=["start", "before", "during", "after"])


def test_contrast_has_the_degrees_of_freedom_of_the_subjects(sleepstudy: pd.DataFrame) -> None:
    """lmerTest finds 17 degrees of freedom for Days, too: 10.4673 -+ 2.1098 x 1.5458."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit(sleepstudy.Reaction, design, design, sleepstudy.Subject)
    days = mixed_model.contrast(model, [0, 1])
    assert days.degrees_of_freedom == 17
    assert days.estimate == pytest.approx(10.4673, abs=1e-4)
    assert days.ci == pytest.approx((10.4673 - 2.1098 * 1.5458, 10.4673 + 2.1098 * 1.5458), abs=1e-3)
    with pytest.raises(ValueError, match="weights: expected 2"):
        mixed_model.contrast(model, [0, 1, 0])
    with pytest.raises(ValueError, match="confidence"):
        mixed_model.contrast(model, [0, 1], confidence=95)


def test_contrast_of_two_coefficients_uses_their_covariance(sleepstudy: pd.DataFrame) -> None:
    """lme4's score on day 9 is 251.4051 + 9 x 10.4673; its vcov() has 46.5751, -1.4511 and 2.3895."""
    design = line(sleepstudy.Days)
    model = mixed_model.fit(sleepstudy.Reaction, design, design, sleepstudy.Subject)
    ninth = mixed_model.contrast(model, [1, 9])
    assert ninth.estimate == pytest.approx(345.6107, abs=1e-3)
    assert ninth.se == pytest.approx(np.sqrt(46.5751 - 2 * 9 * 1.4511 + 81 * 2.3895), abs=1e-3)


def test_three_period_design_breaks_at_first_dose_and_washout_end() -> None:
    """First dose at month 2, washout over at month 6.

    ::

        month  before  during  after
           -1      -1       0      0
            2       2       0      0      the day of the first dose is both an end and a start
            5       2       3      0
            6       2       4      0
            9       2       4      3
    """
    design = mixed_model.three_period_design([-1, 2, 5, 6, 9], 2, 6)
    assert design.tolist() == [[1, -1, 0, 0], [1, 2, 0, 0], [1, 2, 3, 0], [1, 2, 4, 0], [1, 2, 4, 3]]


def test_three_period_design_takes_each_subjects_own_dates() -> None:
    """Never treated is infinity: all time is before. Treatment that goes on has no after."""
    design = mixed_model.three_period_design([7, 7, 7], [np.inf, 3, 1], [np.inf, np.inf, 4])
    assert design.tolist() == [[1, 7, 0, 0], [1, 3, 4, 0], [1, 1, 3, 3]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], 0, 1), "^time: expected one finite number"),
        (([1.0, np.nan], 0, 1), "^time: expected one finite number"),
        (([1.0, 2.0], [0.0, np.nan], 1), "^first_dose: is NaN in 1 row"),
        (([1.0, 2.0], 0, [1.0, 2.0, 3.0]), "^washout_end: expected one value or 2"),
        (([1.0, 2.0], 5, [6.0, 4.0]), "^washout_end: lies before first_dose in 1 row"),
    ],
)
def test_three_period_design_names_bad_input(arguments: tuple[object, object, object], message: str) -> None:
    """An impossible course of treatment is an error, not a slope."""
    with pytest.raises(ValueError, match=message):
        mixed_model.three_period_design(*arguments)


def test_three_slopes_come_back() -> None:
    """Six synthetic subjects, deviations cancelling at each visit: -1.7, -0.4 and -0.6 points a month."""
    months = np.arange(-6.0, 18.0, 2.0)
    course = mixed_model.three_period_design(months, 0.0, 10.0)
    random = np.random.default_rng(6)
    deviations = random.normal(0, 1, (6, len(months))) + random.normal(0, 4, (6, 1))
    score = course @ [31.5, -1.7, -0.4, -0.6] + deviations - deviations.mean(axis=0)
    design, time = np.tile(course, (6, 1)), np.tile(months, 6)
    model = mixed_model.fit_with_fallback(
        score.ravel(), design, line(time), np.repeat(np.arange(6), len(months))
    )
    assert model.coefficients == pytest.approx([31.5, -1.7, -0.4, -0.6], abs=1e-9)
    during_minus_before = mixed_model.contrast(model, [0, -1, 1, 0])
    assert during_minus_before.estimate == pytest.approx(1.3, abs=1e-9)
