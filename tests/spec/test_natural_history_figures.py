"""The figures of 128 real patients without cell therapy (Witzel et al. 2021)."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_cohorts import study_of

from fhiradapter.analysis.baseline import derive_cohort_summary
from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.progression import derive_progression
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort

DATA = Path(__file__).parents[2] / "examples" / "als_natural_history" / "data"
ONSET = datetime(2010, 1, 1, tzinfo=UTC)  # invented: the data hold months since onset and no dates
POLICY = {"same_day": "all", "time_scale": "instant", "time_origin": "onset", "minimum_days": 0}
STUDY = study_of(treated=False, progression=POLICY)


def visits():
    with (DATA / "timepoints.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def cohort():
    rows = []
    for number, visit in enumerate(visits()):
        at = ONSET + timedelta(days=30.4375 * float(visit["time"]))
        common = {
            "subject_id": visit["patient"],
            "status": "final",
            "measured_at": at,
            "measured_on": at.date(),
            "measured_precision": "second",
        }
        score = {"concept": "alsfrs_r_total", "value": float(visit["ALSFRSR"]), "performer": visit["rater"]}
        rows.append({**common, **score, "row_id": f"score-{number}"})
        if visit["nfl"] != "NA":
            nfl = {"concept": "nfl_serum_plasma", "value": float(visit["nfl"]), "specimen": "serum"}
            rows.append({**common, **nfl, "row_id": f"nfl-{number}", "unit": "pg/mL"})
    onset = {"kind": "condition", "concept": "als", "started_at": ONSET, "started_on": ONSET.date()}
    people = sorted({visit["patient"] for visit in visits()})
    events = [{**onset, "subject_id": person, "started_precision": "second"} for person in people]
    return Cohort.from_rows({"measurements": rows, "events": events})


@pytest.fixture(scope="module")
def progression(cohort):
    return derive_progression(cohort, STUDY, derive_timeline(cohort, STUDY))


@pytest.mark.parametrize(("subject", "slope"), [("p1", -0.985381), ("p10", -0.266784), ("p1005", -0.455526)])
def test_slopes_of_three_patients(progression, subject, slope):
    """Least squares over all rows, both raters, as R's lm gives them."""
    rows = progression.by_subject.set_index("subject_id")
    assert rows.loc[subject, "slope"] == pytest.approx(slope, abs=5e-7)


def test_all_666_scores_are_analysed(progression):
    assert len(progression.scores) == 666
    assert progression.score_notes["rise"] > 0
    assert progression.periods["all"].n + len(progression.periods["all"].excluded) == 128


def test_mixed_model_agrees_with_lme4(progression):
    """lme4, REML: 49.270915 - 0.766955 per month (SE 0.817516, 0.048420), residual SD 2.874674."""
    model = progression.mixed_model
    assert model.coefficients["intercept"] == pytest.approx(49.270915, rel=1e-5)
    assert model.coefficients["time"] == pytest.approx(-0.766955, rel=1e-5)
    assert model.se["intercept"] == pytest.approx(0.817516, rel=1e-3)
    assert model.se["time"] == pytest.approx(0.048420, rel=1e-3)
    assert model.residual_sd == pytest.approx(2.874674, rel=1e-3)
    assert (model.observations, model.subjects) == (666, 128)


def test_neurofilament_ratio_on_110_patients(cohort):
    """Last / first: GMR 1.079434; the t interval by scipy's one-sample t test on the logs, from the CSV."""
    found = derive_biomarkers(cohort, STUDY, derive_timeline(cohort, STUDY))["nfl_serum_plasma"]
    series: dict[str, list[tuple[float, float]]] = {}
    for visit in visits():
        if visit["nfl"] != "NA":
            series.setdefault(visit["patient"], []).append((float(visit["time"]), float(visit["nfl"])))
    pairs = [sorted(values) for values in series.values() if len(values) > 1]
    logs = [np.log(values[-1][1] / values[0][1]) for values in pairs]
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert found.n == 110
    assert found.gmr == pytest.approx(1.079434, abs=5e-7)
    assert found.percent_change == pytest.approx(7.9434, abs=5e-5)
    assert found.ci95 == pytest.approx((np.exp(interval.low), np.exp(interval.high)), rel=1e-9)
    # Student's interval is a little wider than the normal one, 1.005224-1.159122.
    assert found.ci95[0] < 1.005224
    assert found.ci95[1] > 1.159122
    assert (found.matrix, found.unit) == ("serum", "pg/mL")
    assert found.n + len(found.excluded) == 128


def test_delta_fs_of_the_first_patient(cohort):
    """Published 1.5410 from a time that was not rounded; (48 - 33) / 9.73 = 1.541624."""
    timeline = derive_timeline(cohort, STUDY)
    summary = derive_cohort_summary(cohort, STUDY, timeline, derive_scores(cohort, STUDY))
    [first] = [subject for subject in summary.subjects if subject.subject_id == "p1"]
    assert first.delta_fs == pytest.approx(1.541624, abs=1e-5)
    assert first.delta_fs == pytest.approx(1.5410, abs=1e-3)
    assert summary.n == 128
