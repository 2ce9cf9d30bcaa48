"""Adverse events: treatment emergence, overview, worst grade, dose-limiting toxicities."""

import pandas as pd
import pytest

from fhiradapter.analysis.adverse_events import derive_adverse_events
from fhiradapter.analysis.treatment_emergence import treatment_emergent
from tests.spec.safety_tables import cohort, rows, study, timeline

DATES = timeline("""
s1 2024-03-10 2024-04-10 2024-12-31
s2 2024-03-10 2024-04-10 2024-12-31
s3 2024-03-10 2024-04-10 2024-12-31
s4 -          -          2024-12-31
""")
INFUSIONS = """
subject_id concept status     start             dose_cells
s1         cells   completed  2024-03-10T09:00  1e8
s1         cells   completed  2024-04-10T09:00  1e8
s2         cells   completed  2024-03-10T09:00  1e8
s3         cells   completed  2024-03-10T09:00  1e8
"""
HEADER = "subject_id term start end grade severity serious related outcome action status system_organ_class\n"


def derived(text: str, *, dates: pd.DataFrame = DATES, **sections):
    made = cohort(events=rows(HEADER + text, kind="adverse_event"), exposures=rows(INFUSIONS))
    return derive_adverse_events(made, study(**sections), dates)


def emergence(start: str, end: str = "-", **safety) -> tuple[object, dict[str, int]]:
    """Return whether s1's only event is treatment-emergent, and the notes."""
    found = derived(f"s1 Headache {start} {end} 1 - no no - - actual -", safety=safety)
    lines = found.overview
    if lines["adverse event not known to be treatment-emergent"].count:
        return None, found.notes
    return bool(lines["any treatment-emergent adverse event"].count), found.notes


# First dose 10 March 2024 09:00, last dose 10 April, window 30 days: until 10 May.
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-03-09", "-", False),
        ("2024-03-10", "-", True),  # the day of the first dose, time of day not known
        ("2024-03-10T08:59", "-", False),  # a minute before it
        ("2024-03-10T09:00", "-", True),
        ("2024-05-10", "-", True),  # last day of the window
        ("2024-05-11", "-", False),
        ("2024-03", "-", True),  # could be on the first dose or later
        ("2024-03", "2024-03-09", False),  # ended before it
        ("2024-02", "-", False),
        ("2024", "-", True),
        ("2024-05", "-", True),  # earliest possible day 1 May is inside the window
        ("2024-06", "-", False),
        ("-", "-", True),  # start missing: the cautious way
        ("-", "2024-03-09", False),  # but it ended before the first dose
        ("-", "2024-02", False),
        ("-", "2024-03", True),  # may have ended later
    ],
)
def test_treatment_emergence_with_partial_dates(start: str, end: str, expected: bool):
    """A partial start is placed as early as possible, not before the first dose if it could be on it."""
    assert emergence(start, end)[0] is expected


def test_without_a_window_an_event_is_emergent_for_ever():
    """window_days null: an event of December counts."""
    assert emergence("2024-12-01", window_days=None)[0] is True


def test_cautious_decisions_are_counted():
    """A missing and a partial start are told in the notes."""
    assert emergence("-")[1]["start missing: taken as treatment-emergent"] == 1
    partial = "start not given to the day: placed as early as possible, not before the first dose"
    assert emergence("2024-03")[1][partial] == 1


EARLIER = "s1 Headache 2024-03-01 {end} {grade} - no no - - actual -\n"


@pytest.mark.parametrize(
    ("end", "grade", "other", "events"),
    [
        ("-", "1", "s1 HEADACHE 2024-03-20 - 2", 2),  # got worse: both count
        ("2024-03-12", "1", "s1 Headache 2024-03-20 - 2", 2),  # ended on treatment, came back worse
        ("-", "2", "s1 Headache 2024-03-20 - 2", 1),  # as bad as it was
        ("-", "1", "s1 Nausea 2024-03-20 - 3", 1),  # another term
        ("-", "1", "s2 Headache 2024-03-20 - 3", 1),  # another subject
        ("-", "-", "s1 Headache 2024-03-20 - 3", 1),  # not known how bad it was
        ("2024-03-09", "1", "s1 Headache 2024-03-20 - 2", 1),  # over before the first dose
        ("-", "1", "s1 Headache 2024-03-05 - 2", 0),  # got worse before the first dose
        ("-", "1", "s1 Headache 2024-06-01 - 2", 0),  # got worse after the window, 10 May
    ],
)
def test_an_event_worsens_where_another_record_of_it_has_a_higher_grade(
    end: str, grade: str, other: str, events: int
):
    """First dose 10 March, a headache since 1 March: the treatment-emergent events with the other record."""
    found = derived(EARLIER.format(end=end, grade=grade) + f"{other} - no no - - actual -")
    assert found.overview["any treatment-emergent adverse event"].events == events
    told = found.notes.get("started before the first dose, worsened after it", 0)
    assert told == (1 if events == 2 else 0)


def test_an_earlier_event_that_worsens_on_treatment_is_emergent():
    """Started before the first dose: only the one that worsened counts."""
    start = pd.to_datetime(pd.Series(["2024-03-01", "2024-03-01"]))
    events = pd.DataFrame({"start_earliest": start, "start_latest": start, "end_latest": pd.NaT})
    dose = pd.to_datetime(pd.Series(["2024-03-10", "2024-03-10"]))
    worsened = pd.Series([True, False])
    found = treatment_emergent(events, first_dose=dose, last_dose=dose, window_days=30, worsened=worsened)
    assert found["treatment_emergent"].tolist() == [True, False]


def test_an_untreated_subject_has_no_treatment_emergence():
    """s4 had no dose: unknown, counted apart among all four subjects, and not among the three treated."""
    found = derived("s4 Headache 2024-03-12 - 1 - no no - - actual -")
    assert found.overview["any treatment-emergent adverse event"].count == 0
    assert found.overview["any treatment-emergent adverse event"].n == 3
    unknown = found.overview["adverse event not known to be treatment-emergent"]
    assert (unknown.count, unknown.n) == (1, 4)


EVENTS = """
s1 Headache     2024-03-11 - 1 -        no  no  -     -         actual Nervous
s1 headache     2024-03-20 - 3 -        no  yes -     -         actual Nervous
s2 Headache     2024-03-12 - - moderate no  -   -     -         actual Nervous
s2 Pneumonia    2024-03-15 - 2 -        yes no  -     -         actual Infections
s3 Headache     2024-03-15 - - -        -   no  -     -         actual Nervous
s3 Sepsis       2024-03-16 - 5 -        no  yes fatal withdrawn actual Infections
s3 Rash         2024-03-16 - 4 -        yes yes -     -         entered-in-error Skin
s3 Fall         2024-03-16 - 4 -        yes yes -     -         refuted Injury
s3 Overdose     2024-03-16 - 4 -        yes yes -     -         potential Injury
"""


def test_the_overview_counts_each_subject_once():
    """Three treated subjects: worked out from the table above."""
    overview = derived(EVENTS).overview
    counts = {name: (line.count, line.events) for name, line in overview.items()}
    assert counts == {
        "any treatment-emergent adverse event": (3, 6),
        "related": (2, 2),
        "grade 3 or more": (2, 2),
        "serious": (2, 2),
        "leading to discontinuation": (1, 1),
        "fatal": (1, 1),
        "of special interest": (0, 0),
        "adverse event not known to be treatment-emergent": (0, 0),
    }
    assert all(line.n in (3, 4) for line in overview.values())


def test_severe_is_not_serious():
    """A grade 3 headache is severe and not serious, a grade 2 pneumonia in hospital the reverse."""
    severe = derived("s1 Headache 2024-03-20 - 3 - no no - - actual -").overview
    assert (severe["grade 3 or more"].count, severe["serious"].count) == (1, 0)
    serious = derived("s2 Pneumonia 2024-03-15 - 2 - yes no - - actual -").overview
    assert (serious["grade 3 or more"].count, serious["serious"].count) == (0, 1)


def test_mistakes_refuted_and_potential_events_are_left_out_and_counted():
    """Three of the nine rows are no events, each with its reason."""
    notes = derived(EVENTS).notes
    reasons = ("entered-in-error", "refuted", "potential")
    assert [notes[f"excluded: {reason}"] for reason in reasons] == [1, 1, 1]


def test_each_subject_counts_once_at_the_worst_grade():
    """Headache: s1 at 3 (of 1 and 3), s2 at 2 (moderate), s3 unknown; case does not make another term."""
    terms = {term.term: term for term in derived(EVENTS).terms}
    assert terms["Headache"].by_worst_grade == {"2": 1, "3": 1, "unknown": 1}
    assert (terms["Headache"].subjects, terms["Headache"].events) == (3, 4)
    assert terms["Headache"].system == "Nervous"


def test_a_grade_from_severity_and_what_is_not_stated_are_told():
    """Moderate stands for grade 2 once; one event has no grade, one no seriousness, one no relation."""
    notes = derived(EVENTS).notes
    assert notes["grade taken from severity"] == 1
    assert notes["grade and severity not stated"] == 1
    assert notes["seriousness not stated"] == 1
    assert notes["relation to the product not stated"] == 1


def test_special_interest_is_a_whole_term_in_any_case():
    """'pneumonia' matches Pneumonia and not Pneumonia aspiration."""
    rest = "2024-03-11 - 1 - no no - - actual -"
    text = f"s1 PNEUMONIA {rest}\ns2 Pneumonia_aspiration {rest}"
    line = derived(text, safety={"special_interest": ["pneumonia"]}).overview["of special interest"]
    assert line.count == 1


def test_rates_are_per_time_at_risk():
    """Each is at risk from 10 March to 10 May, 62 days; 3 x 62 / 365.25 years."""
    line = derived(EVENTS).overview["any treatment-emergent adverse event"]
    assert line.person_years == pytest.approx(3 * 62 / 365.25)
    assert line.rate_per_100_person_years == pytest.approx(100 * 6 / (3 * 62 / 365.25))


def test_a_study_without_treatment_counts_any_event_of_anybody():
    """No treatment: 'any adverse event' among all four, and nothing about emergence, relation or dose."""
    found = derived(EVENTS, treatment=None)
    assert found.overview["any adverse event"].count == 3
    assert found.overview["any adverse event"].n == 4
    assert "related" not in found.overview
    assert not any("emergent" in name for name in found.overview)
    assert found.dose_limiting is None
    assert {term.term for term in found.terms} == {"Headache", "Pneumonia", "Sepsis"}


REACTION, RELEASE = "Infusion_related_reaction", "Cytokine_release_syndrome"


@pytest.mark.parametrize(
    ("term", "start", "grade", "outcome", "related", "limiting"),
    [
        (REACTION, "2024-03-11T09:00", "1", "-", "no", True),  # 24 hours after the start, any grade
        (REACTION, "2024-03-11T09:01", "3", "-", "no", False),
        (REACTION, "2024-04-10T10:00", "2", "-", "no", True),  # after the second infusion
        (REACTION, "2024-03-10T08:00", "2", "-", "no", False),  # before it
        (REACTION, "2024-03-11", "2", "-", "no", True),  # could be within 24 hours
        (REACTION, "2024-03-12", "2", "-", "no", False),
        (RELEASE, "2024-03-24T09:00", "3", "-", "no", True),  # 14 days
        (RELEASE, "2024-03-24T09:01", "4", "-", "no", False),
        (RELEASE, "2024-03-12T09:00", "2", "-", "no", False),  # not grade 3
        ("Sepsis", "2024-12-01T09:00", "5", "fatal", "yes", True),  # regimen-related death, whenever
        ("Sepsis", "2024-03-11T09:00", "5", "fatal", "no", False),
        ("Headache", "2024-03-10T10:00", "3", "-", "yes", False),
    ],
)
def test_the_dose_limiting_rule(
    term: str, start: str, grade: str, outcome: str, related: str, limiting: bool
):
    """Infusion reaction within 24 h, related death, or cytokine release of grade 3 within 14 days."""
    found = derived(f"s1 {term} {start} - {grade} - no {related} {outcome} - actual -")
    assert found.dose_limiting is not None
    assert found.dose_limiting.n == int(limiting)
    assert "24 hours" in found.dose_limiting.rule
    assert "14 days" in found.dose_limiting.rule


@pytest.mark.parametrize(
    ("event", "note"),
    [
        (f"{RELEASE} 2024-03-12T09:00 - - -", "grade missing"),
        (f"{RELEASE} - - - -", "start missing"),
        (f"{RELEASE} 2024-03-24T09:01 - - -", None),  # after 14 days: whatever its grade
        (f"{RELEASE} 2024-03-12T09:00 - - mild", None),  # grade 1
    ],
)
def test_a_cytokine_release_without_a_grade_is_undecided(event: str, note: str | None):
    """It is neither counted nor lost."""
    found = derived(f"s1 {event} no no - - actual -")
    assert found.dose_limiting is not None
    assert found.dose_limiting.n == 0
    told = {name: count for name, count in found.notes.items() if name.startswith("possibly")}
    assert told == ({f"possibly dose-limiting, {note}": 1} if note else {})


def test_a_death_of_unknown_causality_is_undecided():
    """Related: counted. Not related: not. Not stated: undecided, and no line of related events."""
    found = derived("s1 Sepsis 2024-03-12 - 5 - - - fatal - actual -")
    assert found.dose_limiting is not None
    assert found.dose_limiting.n == 0
    assert found.notes["possibly dose-limiting, relation of the death to the product missing"] == 1
    assert found.overview["related"].count == 0


def test_a_fatal_event_without_a_grade_is_of_grade_5():
    """CTCAE: death is grade 5. A reported grade stays, and a fatal event is severe with any."""
    text = "s1 Sepsis 2024-03-12 - - moderate - no fatal - actual -\n"
    text += "s2 Pneumonia 2024-03-12 - 2 - - no fatal - actual -"
    found = derived(text)
    assert (found.overview["fatal"].count, found.overview["grade 3 or more"].count) == (2, 2)
    assert {term.term: term.by_worst_grade for term in found.terms} == {
        "Sepsis": {"5": 1},
        "Pneumonia": {"2": 1},
    }
    assert found.notes["grade 5 taken from the fatal outcome"] == 1
    assert "grade taken from severity" not in found.notes


CUT = {"follow_up": {"data_cut": "2024-03-20"}}


def test_events_after_the_data_cut_do_not_count():
    """Cut 20 March: that day counts, the next does not, and March may be before it."""
    rest = "- 3 - no no - - actual -\n"
    text = "".join(f"s1 Fall {start} {rest}" for start in ("2024-03-20", "2024-03-21", "2024-03", "2024-04"))
    found = derived(text, **CUT)
    assert found.overview["grade 3 or more"].events == 2
    assert found.notes["excluded: after the data cut"] == 2


@pytest.mark.parametrize(
    ("end", "grade", "fatal", "severe"),
    [
        ("2024-03-20", "-", 1, 1),
        ("2024-03-21", "-", 0, 0),  # alive at the cut
        ("2024-03-21", "5", 0, 0),  # the grade of the cut is not known
        ("2024-03-21", "4", 0, 1),
        ("-", "-", 1, 1),  # the day of death is not known
    ],
)
def test_a_death_after_the_data_cut_is_none_yet(end: str, grade: str, fatal: int, severe: int):
    """Cut 20 March, sepsis from 12 March with a fatal outcome."""
    found = derived(f"s1 Sepsis 2024-03-12 {end} {grade} - - yes fatal - actual -", **CUT)
    assert (found.overview["fatal"].count, found.overview["grade 3 or more"].count) == (fatal, severe)
    assert found.notes.get("fatal after the data cut: not counted as fatal", 0) == 1 - fatal
    assert found.dose_limiting is not None
    assert found.dose_limiting.n == fatal


def test_an_infusion_after_the_data_cut_limits_no_dose():
    """Cut 9 April: a reaction of some day in April may follow the infusion of 10 April, after the cut."""
    text = f"s1 {REACTION} 2024-04 - 2 - no no - - actual -"
    before, after = (
        derived(text, follow_up={"data_cut": day}).dose_limiting for day in ("2024-04-09", "2024-04-10")
    )
    assert before is not None
    assert after is not None
    assert (before.n, after.n) == (0, 1)


def test_a_death_without_an_adverse_event_is_told():
    """s1 and s2 died; s1 has a fatal event, s2 has none."""
    dates = DATES.assign(died=[True, True, False, False])
    found = derived("s1 Sepsis 2024-03-12 - 5 - - no fatal - actual -", dates=dates)
    assert found.notes["deaths recorded without an adverse event"] == 1


def test_a_possible_dose_limiting_event_without_a_start_is_told():
    """It cannot be placed: not counted, and said so."""
    found = derived(f"s1 {REACTION} - - 2 - no no - - actual -")
    assert found.dose_limiting is not None
    assert found.dose_limiting.n == 0
    assert found.notes["possibly dose-limiting, start missing"] == 1


def test_no_event_is_zero_of_n_with_an_upper_limit():
    """0 of 3: Clopper-Pearson upper limit 1 - 0.025^(1/3) = 70.76 %."""
    line = derived("").overview["any treatment-emergent adverse event"]
    assert (line.count, line.n, line.percent) == (0, 3, 0)
    assert line.clopper_pearson == pytest.approx((0, 100 * (1 - 0.025 ** (1 / 3))))


def test_nobody_treated_gives_no_percentage():
    """A treatment study in which nobody was treated: n 0, no percentage, no error."""
    nobody = timeline("s4 - - 2024-12-31")
    found = derived("s4 Headache 2024-03-12 - 1 - no no - - actual -", dates=nobody)
    assert found.overview["any treatment-emergent adverse event"].percent is None
    assert found.notes["in subjects without a dose"] == 1
