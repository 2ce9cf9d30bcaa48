"""The planned visits, and how infusions are set against them."""

import numpy as np
import pandas as pd
import pytest

from fhiradapter.analysis.adherence import derive_adherence
from fhiradapter.analysis.infusions import given_infusions, missed_infusions
from fhiradapter.analysis.matching import match
from fhiradapter.analysis.schedule import plan
from fhiradapter.settings import Treatment
from tests.spec.safety_tables import cohort, rows, study, timeline

WEEKLY = {"count": 4, "every": "week", "early_days": 1, "late_days": 1}
MONTHLY = {"count": 2, "every": "month", "early_days": 3, "late_days": 3}
FIRST = pd.Timestamp("2024-01-01")


def adherence(days: list[int], *, contact: int = 400, not_done: tuple[int, ...] = (), **settings):
    """Set infusions on days since the first dose against 4 weekly and 2 monthly visits."""
    lines = [f"s1 cells completed {(FIRST + pd.Timedelta(days=d)).date()} 1e8" for d in days]
    lines += [f"s1 cells not-done {(FIRST + pd.Timedelta(days=d)).date()} -" for d in not_done]
    made = cohort(exposures=rows("subject_id concept status start dose_cells\n" + "\n".join(lines)))
    plan_of = study(treatment={"concept": "cells", "schedule": [WEEKLY, MONTHLY]}, **settings)
    seen = (FIRST + pd.Timedelta(days=contact)).date()
    dates = timeline(f"s1 2024-01-01 2024-01-01 {seen}")
    return derive_adherence(given_infusions(made, plan_of), missed_infusions(made, plan_of), dates, plan_of)


def timings(days: list[int], **settings) -> list[tuple[int | None, str]]:
    table = adherence(days, **settings).given
    return [
        (None if pd.isna(visit) else int(visit), timing)
        for visit, timing in zip(table["planned_visit"], table["timing"], strict=True)
    ]


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        # 21 + 28 = 49, + 28 = 77
        ("28_days", [0, 7, 14, 21, 49, 77]),
        # 21 + 30.4375 = 51.4375, + 30.4375 = 81.875, rounded
        ("30.4375_days", [0, 7, 14, 21, 51, 82]),
        # 22 January, 22 February (day 52), 22 March of a leap year (day 81)
        ("calendar", [0, 7, 14, 21, 52, 81]),
    ],
)
def test_a_month_is_what_the_study_says(month: str, expected: list[int]):
    """4 weekly and 2 monthly visits from 1 January 2024 under the three policies."""
    treatment = Treatment.model_validate({"concept": "cells", "schedule": [WEEKLY, MONTHLY], "month": month})
    days = plan(treatment, pd.Series([FIRST])).days
    assert (days[0] - np.datetime64("2024-01-01")).astype(int).tolist() == expected


def test_the_31st_becomes_the_last_day_of_a_shorter_month():
    """Calendar months from 31 January 2024: 29 February, 31 March, 30 April."""
    blocks = [{"count": 4, "every": "month"}]
    treatment = Treatment.model_validate({"concept": "cells", "schedule": blocks, "month": "calendar"})
    days = plan(treatment, pd.to_datetime(pd.Series(["2024-01-31"]))).days
    assert days[0].astype(str).tolist() == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


def test_infusions_inside_their_windows_are_on_time():
    """Windows are +-1 day for weekly and +-3 days for monthly visits, edges included."""
    assert timings([0, 6, 15, 21, 46, 80]) == [(visit, "on_time") for visit in range(1, 7)]


def test_outside_the_window_is_early_or_late():
    """Day 5 is 2 days early for day 7; day 53 is 4 days late for day 49."""
    assert timings([0, 5, 14, 21, 53, 77])[1] == (2, "early")
    assert timings([0, 5, 14, 21, 53, 77])[4] == (5, "late")


def test_an_infusion_between_two_that_fit_is_additional():
    """Day 60 lies between the infusions of day 49 and day 77, which are both there."""
    assert timings([0, 7, 14, 21, 49, 60, 77])[5] == (None, "additional")


def test_infusions_put_off_by_a_fortnight_are_late_and_not_missed():
    """Days 65 and 93 stand for days 49 and 77, both 16 days late."""
    assert timings([0, 7, 14, 21, 65, 93])[4:] == [(5, "late"), (6, "late")]


def test_a_missed_visit_does_not_shift_the_later_ones():
    """Nothing on day 7: day 14 stays the third visit."""
    result = adherence([0, 14, 21, 49, 77])
    assert result.given["planned_visit"].tolist() == [1, 3, 4, 5, 6]
    assert result.subjects.loc["s1", "missed"] == 1


def test_a_visit_that_is_not_due_yet_is_not_missed():
    """Last contact on day 51: visit 5 (day 49 + 3) is still open; on day 52 its window has closed."""
    assert adherence([0, 7, 14, 21], contact=51).subjects.loc["s1", "missed"] == 0
    assert adherence([0, 7, 14, 21], contact=52).subjects.loc["s1", "missed"] == 1


def test_nothing_is_due_after_the_data_cut():
    """Seen until day 400, but the cut is day 51."""
    cut = {"follow_up": {"data_cut": "2024-02-21"}}
    assert adherence([0, 7, 14, 21], **cut).subjects.loc["s1", "missed"] == 0


def test_a_not_done_record_makes_its_visit_missed_at_once():
    """Not done on day 49, last contact on day 49: missed, as visit 5."""
    result = adherence([0, 7, 14, 21], contact=49, not_done=(49,))
    assert result.not_done["planned_visit"].tolist() == [5]
    assert result.subjects.loc["s1", "missed"] == 1


def test_a_visit_given_later_is_not_missed_for_its_not_done_record():
    """Not done on day 49, given on day 53: late, and nothing missed."""
    result = adherence([0, 7, 14, 21, 53, 77], not_done=(49,))
    assert result.subjects.loc["s1", ["late", "missed"]].tolist() == [1, 0]
    assert result.not_done["planned_visit"].isna().all()


def test_matching_agrees_with_trying_everything():
    """On small random cases the recursion finds as many and as near matches as trying all choices."""
    generator = np.random.default_rng(7)
    for _ in range(60):
        planned = np.sort(generator.choice(30, size=4, replace=False)).astype(float)
        given = np.sort(generator.choice(30, size=3, replace=False)).astype(float)
        reach = np.full((1, 4), 6.0)
        found = match(planned[None], given[None], reach_early=reach, reach_late=reach)[0]
        away = [abs(given[k] - planned[v]) for k, v in enumerate(found) if v >= 0]
        visits = [v for v in found if v >= 0]
        assert visits == sorted(set(visits))
        assert (-len(away), sum(away)) == _best(planned.tolist(), given.tolist(), reach=6.0)


def _best(planned: list[float], given: list[float], *, reach: float) -> tuple[int, float]:
    """Return (-matches, sum of distances) of the best choice, by trying all."""
    if not planned or not given:
        return (0, 0.0)
    options = [_best(planned[1:], given, reach=reach), _best(planned, given[1:], reach=reach)]
    away = abs(planned[0] - given[0])
    if away <= reach:
        count, total = _best(planned[1:], given[1:], reach=reach)
        options.append((count - 1, total + away))
    return min(options)


def test_an_infusion_without_a_day_is_undated_and_may_have_been_a_missed_one():
    """Four dated infusions, one of March 2024: visits 5 and 6 have none, but only one is surely missed."""
    lines = [f"s1 cells completed 2024-01-{d} 1e8" for d in ("01", "08", "15", "22")]
    table = "subject_id concept status start dose_cells\n" + "\n".join(
        [*lines, "s1 cells completed 2024-03 1e8"]
    )
    made = cohort(exposures=rows(table))
    plan_of = study(treatment={"concept": "cells", "schedule": [WEEKLY, MONTHLY]})
    dates = timeline("s1 2024-01-01 2024-01-22 2025-01-01")
    result = derive_adherence(given_infusions(made, plan_of), missed_infusions(made, plan_of), dates, plan_of)
    assert result.given["timing"].tolist() == ["on_time"] * 4 + ["undated"]
    assert result.subjects.loc["s1", "missed"] == 1
