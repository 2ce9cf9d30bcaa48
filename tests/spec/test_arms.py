"""Which arm a subject is in, and what the arms show beside each other."""

import numpy as np
import pytest
from scipy import stats
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.by_arm import derive_by_arm
from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.last_contact import derive_last_contact
from fhiradapter.analysis.population import named_subjects, study_population, unmatched_names
from fhiradapter.analysis.progression import derive_progression
from fhiradapter.analysis.quality import derive_quality
from fhiradapter.analysis.safety_by_arm import overview_by_arm
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.analysis.welch import welch

ENROLMENTS = """
subject_id | kind      | term    | assigned_arm | study           | started    | status
a          | enrolment | Active  | Active       | ResearchStudy/x | 2024-01-01 | off-study
b          | enrolment | Active  | Placebo      | ResearchStudy/x | 2024-01-02 | off-study
c          | enrolment | Placebo | Placebo      | ResearchStudy/x | 2024-01-03 | withdrawn
c          | enrolment | Open    |              | ResearchStudy/y | 2024-09-01 | on-study
d          | enrolment | Placebo | Placebo      | ResearchStudy/x | 2024-01-04 | ineligible
"""
PEOPLE = "subject_id\na\nb\nc\nd\ne"


def timeline(study=None, **tables):
    return derive_timeline(cohort_of(**tables), study or study_of())


def arms(**subjects):
    found = timeline(study_of(subjects=subjects), subjects=PEOPLE, events=ENROLMENTS)
    return found["arm"].dropna().to_dict()


def test_the_arm_followed_is_the_arm_and_the_latest_enrolment_counts():
    """c is in two studies, lately in the open one; d was found ineligible; nobody enrolled e."""
    assert arms() == {"a": "Active", "b": "Active", "c": "Open"}


def test_one_research_study_can_be_named_by_reference_id_or_identifier():
    assert arms(research_study="ResearchStudy/x")["c"] == "Placebo"
    assert arms(research_study="x")["c"] == "Placebo"
    other = ENROLMENTS.replace("ResearchStudy/x", "urn:registry|N1")
    study = study_of(subjects={"research_study": "N1"})
    # A bar in a cell would be a column of the table, so the cell is put in afterwards.
    text = other.replace("urn:registry|N1", "N1-cell")
    cohort = cohort_of(subjects=PEOPLE, events=text)
    place = cohort.tables["events"].schema.get_field_index("study")
    values = [
        "urn:registry|N1" if value == "N1-cell" else value
        for value in cohort.tables["events"].column("study").to_pylist()
    ]
    events = cohort.tables["events"].set_column(place, "study", [values])
    cohort = type(cohort)({**cohort.tables, "events": events}, cohort.accounting)
    assert derive_timeline(cohort, study)["arm"].dropna().to_dict()["c"] == "Placebo"


def test_the_assigned_arm_goes_first_by_policy():
    """b was assigned placebo and followed the active arm."""
    assert arms(research_study="x", arm_by="assigned") == {"a": "Active", "b": "Placebo", "c": "Placebo"}


def test_the_study_file_goes_before_every_enrolment():
    assert arms(arms={"a": "Mine", "e": "Mine"}) == {"a": "Mine", "b": "Active", "c": "Open", "e": "Mine"}


def test_an_arm_can_be_given_another_name():
    """R5 sends the id of a comparison group."""
    assert arms(arm_names={"Active": "CK0803"})["a"] == "CK0803"


def test_what_is_odd_about_an_arm_is_noted():
    notes = timeline(study_of(subjects={"arms": {"a": "Mine"}}), subjects=PEOPLE, events=ENROLMENTS)["notes"]
    assert any("goes before" in note for note in notes["a"])
    assert any("not the arm assigned" in note for note in notes["b"])
    assert any("several arms" in note for note in notes["c"])
    assert notes["d"] == ()


def test_an_enrolment_is_no_event_no_contact_and_no_person():
    """Only an enrolment is known of z; a was last seen in March, and left the study in June."""
    rows = """
subject_id | kind      | term   | started    | ended
a          | enrolment | Active | 2024-01-01 | 2024-06-01
z          | enrolment | Active | 2024-01-01 | 2024-06-01
"""
    cohort = cohort_of(events=rows, measurements="subject_id | measured | value\na | 2024-03-01 | 40")
    study = study_of(subjects={"arms": {"a": "x"}})
    population = study_population(cohort, study)
    assert population.tolist() == ["a"]
    found = derive_timeline(cohort, study)
    contact = derive_last_contact(cohort, study, population, death_on=found["death_on"])
    assert contact["a"].date().isoformat() == "2024-03-01"
    assert (
        overview_by_arm(cohort, study_of(treated=False), found, ["x"])["x"]["any adverse event"].events == 0
    )
    assert derive_quality(cohort).unmapped_rows == 0


SOURCES = """
subject_id | source | replaced_by
a:1        | a      |
a:2        | a      | a:1
b:1        | b      |
b:9        | b      | a:1
b:7        | b      |
"""


@pytest.mark.parametrize(
    ("name", "person"),
    [("a:1", "a:1"), ("b:1", "b:1"), ("2", "a:1"), ("b:9", "a:1"), ("9", "a:1"), ("7", "b:7")],
)
def test_names_follow_merges_and_sources(name, person):
    """a:2 was merged into a:1, b:9 is the same person by identifier, 7 is only in b."""
    assert named_subjects(cohort_of(subjects=SOURCES), [name]).tolist() == [person]


@pytest.mark.parametrize("name", ["1", "8", "c:1"])
def test_a_name_that_means_nobody_or_several_persons_is_nobody(name):
    """Both sources have a 1, nobody has an 8, and there is no source c."""
    assert named_subjects(cohort_of(subjects=SOURCES), [name]).isna().all()


def test_the_only_source_may_be_named():
    assert named_subjects(cohort_of(subjects="subject_id | source\np1 | input"), ["input:p1"]).tolist() == [
        "p1"
    ]


def test_ids_and_arms_of_the_study_file_follow_a_merge():
    """The study file knows the old id; its facts are the survivor's."""
    people = "subject_id | source | replaced_by\nnew | s |\nold | s | new"
    study = study_of(subjects={"ids": ["old"], "arms": {"old": "Active"}})
    found = timeline(study, subjects=people, exposures="subject_id | started\nnew | 2024-01-01")
    assert found["arm"].to_dict() == {"new": "Active"}
    assert unmatched_names(cohort_of(subjects=people), study) == ()


def test_a_surviving_id_has_its_own_arm_and_the_clash_is_told():
    people = "subject_id | source | replaced_by\nnew | s |\nold | s | new"
    study = study_of(subjects={"arms": {"old": "Placebo", "new": "Active"}})
    assert timeline(study, subjects=people)["arm"].to_dict() == {"new": "Active"}
    [told] = unmatched_names(cohort_of(subjects=people), study)
    assert "several arms to new" in told


def test_names_that_match_nobody_are_told():
    study = study_of(subjects={"ids": ["a", "ghost"], "arms": {"spirit": "Active"}})
    told = unmatched_names(cohort_of(subjects=PEOPLE), study)
    assert ["ghost" in told[0], "spirit" in told[1], len(told)] == [True, True, 2]


def test_welch_against_scipy():
    """The same estimate, p and interval as scipy.stats.ttest_ind without equal variances."""
    first, second = [-0.4, -0.9, -0.2, -0.7, -1.4], [-1.1, -0.8, -1.9, -2.5]
    found = welch(first, second, confidence=0.95)
    oracle = stats.ttest_ind(first, second, equal_var=False)
    limits = oracle.confidence_interval(0.95)
    assert found.estimate == pytest.approx(-0.72 + 1.575)
    assert (found.degrees_of_freedom, found.p) == pytest.approx((oracle.df, oracle.pvalue))
    assert found.interval == pytest.approx((limits.low, limits.high))


@pytest.mark.parametrize(
    ("first", "second", "estimate", "se"),
    [([], [1.0], None, None), ([2.0], [1.0, 3.0], 0.0, None), ([2.0, 2.0], [1.0, 1.0], 1.0, 0.0)],
)
def test_welch_says_no_more_than_the_values_tell(first, second, estimate, se):
    """One value has no spread, and values without spread have no interval."""
    found = welch(first, second, confidence=0.95)
    assert (found.estimate, found.se, found.interval, found.p) == (estimate, se, None, None)


# Two subjects of each arm lose 1 and 3 points (active) or 4 and 8 points (placebo) in 100 days.
DOSES = "subject_id | started\n" + "\n".join(f"{name} | 2024-01-01" for name in "abcd")
SCORES = """
subject_id | measured   | value
a          | 2024-01-01 | 40
a          | 2024-04-10 | 39
b          | 2024-01-01 | 40
b          | 2024-04-10 | 37
c          | 2024-01-01 | 40
c          | 2024-04-10 | 36
d          | 2024-01-01 | 40
d          | 2024-04-10 | 32
"""
TWO_ARMS = {"a": "Active", "b": "Active", "c": "Placebo", "d": "Placebo"}


def by_arm(study, **tables):
    cohort = cohort_of(**tables)
    found = derive_timeline(cohort, study)
    scores = derive_scores(cohort, study)
    return derive_by_arm(
        cohort,
        study,
        found,
        scores=scores,
        progression=derive_progression(cohort, study, found, scores=scores),
        exposure=derive_exposure(cohort, study, found),
        biomarkers={},
    )


@pytest.fixture
def two_arms():
    study = study_of(subjects={"arms": TWO_ARMS}, progression={"washout_days": 120})
    return by_arm(study, exposures=DOSES, measurements=SCORES)


def test_slopes_by_arm_by_hand(two_arms):
    """100 days are 100 / 30.4375 months: -2 and -6 points in that time on average, so 4 in between."""
    month = 100 / 30.4375
    assert two_arms.reference == "Placebo"
    assert [row.arm for row in two_arms.slopes] == ["Active", "Placebo"]
    assert [row.mean_slope for row in two_arms.slopes] == pytest.approx([-2 / month, -6 / month])
    assert [row.sd for row in two_arms.slopes] == pytest.approx([2**0.5 / month, 8**0.5 / month])
    [difference] = two_arms.differences
    assert difference.estimate == pytest.approx(4 / month)
    # se^2 = 2/2 + 8/2 = 5; df = 25 / (1 + 16) = 1.470588
    assert difference.se == pytest.approx(5**0.5 / month)
    assert difference.degrees_of_freedom == pytest.approx(25 / 17)


def test_two_subjects_in_an_arm_are_too_few_for_the_model(two_arms):
    assert two_arms.model is None
    assert "fewer than 3 subjects" in two_arms.model_note


def test_arms_have_sizes_doses_and_a_baseline_table(two_arms):
    active = two_arms.arms["Active"]
    assert (active.n, active.treated, active.deaths, active.infusions.median) == (2, 2, 0, 1)
    table = {row.name: row.value for row in active.baseline_table}
    assert table["baseline score"] == "40 (40-40)"
    assert "arm" not in table


def test_one_arm_is_compared_with_nothing():
    study = study_of(subjects={"arms": dict.fromkeys("abcd", "Active")})
    assert by_arm(study, exposures=DOSES, measurements=SCORES) is None


def test_who_has_no_arm_is_named():
    study = study_of(subjects={"arms": {"a": "Active", "c": "Placebo"}})
    found = by_arm(study, exposures=DOSES, measurements=SCORES)
    assert found.without_arm == ("b", "d")
    assert any("2 subjects" in caution for caution in found.cautions)


def test_a_reference_arm_that_nobody_is_in_is_told():
    study = study_of(subjects={"arms": TWO_ARMS, "reference_arm": "Sham"})
    found = by_arm(study, exposures=DOSES, measurements=SCORES)
    assert found.reference == "Placebo"
    assert any("'Sham'" in caution for caution in found.cautions)


def test_the_model_of_balanced_arms_is_the_mean_of_the_slopes():
    """Four subjects an arm, on the same days: REML's slope difference is that of the mean slopes.

    With the same times for all, the fixed slope of an arm is the mean of its subjects' least-squares slopes.
    """
    days = ("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-10")
    points = {
        "a": (40, 39, 39, 37),
        "b": (38, 38, 36, 36),
        "c": (42, 40, 40, 39),
        "d": (35, 35, 33, 34),
        "e": (41, 38, 36, 33),
        "f": (37, 36, 33, 31),
        "g": (39, 38, 36, 34),
        "h": (44, 40, 38, 35),
    }
    months = np.array([0, 31, 60, 100]) / 30.4375
    lines = {name: np.polyfit(months, values, 1)[0] for name, values in points.items()}
    scores = "subject_id | measured | value\n" + "\n".join(
        f"{name} | {day} | {value}"
        for name, values in points.items()
        for day, value in zip(days, values, strict=True)
    )
    doses = "subject_id | started\n" + "\n".join(f"{name} | 2024-01-01" for name in points)
    names = {name: "Active" if name < "e" else "Placebo" for name in points}
    found = by_arm(
        study_of(subjects={"arms": names}, progression={"washout_days": 120}),
        exposures=doses,
        measurements=scores,
    )
    active = np.mean([lines[name] for name in "abcd"])
    placebo = np.mean([lines[name] for name in "efgh"])
    assert found.model.coefficients["time"] == pytest.approx(placebo, abs=1e-6)
    assert found.model.contrasts["Active"].estimate == pytest.approx(active - placebo, abs=1e-6)
    assert found.differences[0].estimate == pytest.approx(active - placebo, abs=1e-9)


COMPARED = """
subject_id | started    | concept
a          | 2024-01-01 | treg_cells
a          | 2024-01-08 | treg_cells
b          | 2024-01-02 | sham
b          | 2024-01-09 | sham
b          | 2024-01-10 | riluzole
"""
PLANNED = {
    "concept": "treg_cells",
    "comparators": ["sham"],
    "dose_cells": 1e8,
    "schedule": [{"count": 4, "every": "week"}],
}


def test_a_comparator_is_given_by_the_same_schedule_and_holds_no_cells():
    """Two of four planned infusions each: half the dose by cells, or by infusions of the comparator."""
    cohort, study = cohort_of(exposures=COMPARED), study_of(treated=False, treatment=PLANNED)
    given = given_infusions(cohort, study)
    assert given["comparator"].tolist() == [False, False, True, True]
    assert given["cells"].tolist()[:2] == [1e8, 1e8]
    assert given["cells"].isna().tolist() == [False, False, True, True]
    found = derive_timeline(cohort, study)
    assert found["first_dose_on"].dt.day.tolist() == [1, 2]
    exposure = derive_exposure(cohort, study, found)
    assert [row.infusions for row in exposure.subjects] == [2, 2]
    assert [row.dose_intensity_percent for row in exposure.subjects] == [50, 50]
    assert [row.cells for row in exposure.subjects] == [2e8, None]
    assert exposure.cells["infusions_without_cells"] == 0


def test_adverse_events_are_counted_within_each_arm():
    """One of two in the active arm, none of two in the other; the denominators are the treated."""
    event = "subject_id | kind | term | started | serious\na | adverse_event | Fall | 2024-01-05 |"
    cohort = cohort_of(exposures=DOSES, events=event)
    study = study_of(subjects={"arms": TWO_ARMS})
    found = overview_by_arm(cohort, study, derive_timeline(cohort, study), ["Active", "Placebo"])
    lines = {arm: overview["any treatment-emergent adverse event"] for arm, overview in found.items()}
    assert {arm: (line.count, line.n, line.events) for arm, line in lines.items()} == {
        "Active": (1, 2, 1),
        "Placebo": (0, 2, 0),
    }


@pytest.mark.parametrize("treated", [True, False])
@pytest.mark.parametrize("scores", ["subject_id | measured | value", SCORES])
def test_arms_without_doses_or_scores_are_told_and_not_estimated(treated, scores):
    """Nobody was dosed: with treatment there is no period to compare, without it the whole follow-up is."""
    study = study_of(treated=treated, subjects={"arms": TWO_ARMS})
    found = by_arm(study, subjects=PEOPLE, measurements=scores)
    estimated = not treated and scores == SCORES
    assert [row.n for row in found.slopes] == ([2, 2] if estimated else [0, 0])
    assert (found.differences[0].estimate is not None) == estimated
    assert found.model is None
    assert found.model_note
    assert any("had no dose" in caution for caution in found.cautions) == treated
    assert found.without_arm == ("e",)
