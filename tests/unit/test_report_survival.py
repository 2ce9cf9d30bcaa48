"""The report's section on survival says what was reached and what was not."""

from pathlib import Path

import msgspec
import pytest
from report_fixture import treated_results
from report_page import Page

from fhiradapter.reports import write_report
from fhiradapter.results import (
    Composite,
    CompositeArm,
    Exclusion,
    GroupComparison,
    RankTest,
    Results,
    SubjectRank,
    SubjectSurvival,
    Survival,
    SurvivalCurve,
    SurvivalStep,
)

HOSTILE = "<script>alert('$x$')</script>"


def step(months: float, at_risk: int, *, events: int, survival: float, width: float) -> SurvivalStep:
    known = survival > 0
    return SurvivalStep(
        months=months,
        at_risk=at_risk,
        events=events,
        censored=1 - events,
        survival=survival,
        se=width if known else None,
        lower=survival - width if known else None,
        upper=min(1.0, survival + width) if known else None,
    )


def curve(*steps: SurvivalStep, median: float | None) -> SurvivalCurve:
    events = sum(one.events for one in steps)
    return SurvivalCurve(
        n=len(steps),
        events=events,
        person_months=24.0,
        median=median,
        median_lower=None,
        median_upper=None,
        rate=50.0 * events,
        rate_interval=(0.0, 184.4) if not events else (1.3, 278.6),
        at_risk=(len(steps), 1),
        steps=steps,
    )


def subject(name: str, arm: str | None, months: float, *, event: bool) -> SubjectSurvival:
    day = treated_results().cohort.subjects[0].first_dose_on
    assert day is not None
    return SubjectSurvival(
        subject_id=name,
        arm=arm,
        origin_on=day,
        end_on=day,
        months=months,
        event=event,
        cause="death" if event else None,
        note=None,
    )


def alive() -> Survival:
    """Two subjects, both alive."""
    flat = [step(5.2, 2, events=0, survival=1, width=0), step(12.1, 1, events=0, survival=1, width=0)]
    return Survival(
        origin="first_dose",
        event="death",
        times=(0.0, 12.0),
        overall=curve(*flat, median=None),
        arms={},
        log_rank=None,
        by_subject_rows=(subject("S-1", None, 5.2, event=False), subject("S-2", None, 12.1, event=False)),
        excluded=(),
        cautions=("Nobody died: median not reached.",),
    )


def two_arms() -> tuple[Survival, Composite]:
    """Two subjects in an arm with a hostile name, of whom both died, and two that live."""
    dead = curve(
        step(4, 2, events=1, survival=0.5, width=0.35), step(13, 1, events=1, survival=0, width=0), median=8.5
    )
    living = curve(
        step(5, 2, events=0, survival=1, width=0), step(14, 1, events=0, survival=1, width=0), median=None
    )
    rows = tuple(
        subject(f"S-{number}", arm, months, event=arm == HOSTILE)
        for number, (arm, months) in enumerate([(HOSTILE, 4), (HOSTILE, 13), ("b", 5), ("b", 14)])
    )
    survival = msgspec.structs.replace(
        alive(),
        overall=dead,
        arms={HOSTILE: dead, "b": living},
        log_rank=GroupComparison(
            arms=(HOSTILE, "b"), observed=(2, 0), expected=(1.0, 1.0), chi_square=2.0, df=1, p=0.1573
        ),
        by_subject_rows=rows,
        excluded=(Exclusion(subject_id=HOSTILE, reason="no score: no time origin"),),
        cautions=(),
    )
    ranks = tuple(
        SubjectRank(
            subject_id=f"S-{number}",
            arm=HOSTILE if number < 2 else "b",
            death_months=4.0 if number < 2 else None,
            score_months=None if number < 2 else 12.0,
            change=None if number < 2 else -3.0,
            sum=2 * number - 3,
            rank=number + 1.0,
        )
        for number in range(4)
    )
    arms = {
        HOSTILE: CompositeArm(n=2, deaths=2, mean_rank=1.5, median_rank=1.5),
        "b": CompositeArm(n=2, deaths=0, mean_rank=3.5, median_rank=3.5),
    }
    composite = Composite(
        concept="alsfrs_r_total",
        n=4,
        arms=arms,
        test=RankTest(method="Wilcoxon rank sum, exact", statistic=0.0, p=1 / 3),
        by_subject_rows=ranks,
        excluded=(),
        cautions=(),
    )
    return survival, composite


def results_of(survival: Survival, composite: Composite | None = None) -> Results:
    results = treated_results()
    arms = {HOSTILE: 2, "b": 2} if composite else {}
    cohort = msgspec.structs.replace(results.cohort, arms=arms)
    return msgspec.structs.replace(results, survival=survival, composite=composite, cohort=cohort)


def page_of(results: Results, folder: Path) -> Page:
    return Page(write_report(results, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("survival")
    return {
        "alive": page_of(results_of(alive()), folder),
        "arms": page_of(results_of(*two_arms()), folder),
    }


def test_nobody_died_is_said(pages: dict[str, Page]) -> None:
    """The median is not reached and the rate's upper limit stands there."""
    text = pages["alive"].text
    assert "Nobody died: median not reached." in text
    assert "not reached" in text
    assert "0.0 to 184.4" in text
    assert "Shaded" not in text


def test_arms_are_compared(pages: dict[str, Page]) -> None:
    """Log-rank test, medians and ranks by arm are in words and numbers."""
    text = pages["arms"].text
    assert "chi-square 2.00 with 1 degree of freedom, p 0.157" in text
    assert "8.5" in text
    assert "Wilcoxon rank sum, exact: p 0.333, two-sided." in text
    assert "Berry and others" in text  # CAFS is in the glossary


@pytest.mark.parametrize("name", ["alive", "arms"])
def test_page_stays_whole_and_safe(pages: dict[str, Page], name: str) -> None:
    """An arm's name is text wherever it stands, and no Python word reaches the reader."""
    page = pages[name]
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.elements}
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert not {"None", "nan", "inf"} & set(page.text.split())


def test_one_group_shows_no_ranks(pages: dict[str, Page]) -> None:
    assert "Function and survival together" not in pages["alive"].text


def test_nobody_at_risk_is_said_and_the_reasons_are_listed(tmp_path: Path) -> None:
    empty = msgspec.structs.replace(
        alive(),
        overall=msgspec.structs.replace(curve(median=None), rate=None, rate_interval=None),
        by_subject_rows=(),
        excluded=(Exclusion(subject_id="S-1", reason="no score: no time origin"),),
        cautions=(),
    )
    text = page_of(results_of(empty), tmp_path).text
    assert "No subject has a time at risk." in text
    assert "No score: no time origin." in text


def test_results_without_survival_have_no_section(tmp_path: Path) -> None:
    """Reports of results from before there was survival do not mention it."""
    results = msgspec.structs.replace(treated_results(), survival=None)
    assert "Kaplan-Meier" not in page_of(results, tmp_path).text
