"""What the report says of domains and stages."""

import re

import pytest
from small_cohorts import study_of
from staged_cohorts import UNTREATED, item_rows

from fhiradapter.analysing import analyse
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.reports.html import render
from fhiradapter.reports.staging_plot import runs
from fhiradapter.settings import Study

COURSE = """
subject_id | measured   | items
s<1>       | 2024-01-01 | 444 444 444 444
s<1>       | 2024-01-31 | 444 444 414 444
s<1>       | 2024-03-01 | 444 444 424 444
s2         | 2024-01-01 | 4.. 444 444 444
"""


def page(rows: list[dict[str, object]], study: Study = UNTREATED) -> str:
    """The section on progression, without its pictures."""
    text = render(analyse(Cohort.from_rows({"measurements": rows}), study))
    section = text[text.index('<section id="progression">') :]
    return re.sub(r"<svg\b.*?</svg>", "", section[: section.index("</section>")], flags=re.DOTALL)


def rows_of(text: str, caption: str) -> list[list[str]]:
    """The body of a table, cell by cell."""
    body = text[text.index(f"<figcaption>{caption}</figcaption>") :]
    body = body[body.index("<tbody>") : body.index("</tbody>")]
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.DOTALL)
    ]


@pytest.fixture(scope="module")
def staged_page() -> str:
    return page(item_rows(COURSE))


def test_stages_and_domains_of_the_items_are_shown(staged_page: str) -> None:
    """MiToS 0, 1, 0; King's 0, 1, 1; gross motor 12 at first and 10 in the end, and 12 of s2."""
    assert rows_of(staged_page, "MiToS stage of 1 subject")[:2] == [
        ["0", "1", "1", "0"],
        ["1", "0", "0", "1"],
    ]
    assert rows_of(staged_page, "ALSFRS-R domains, points of 12, median (range)")[2] == [
        *("Gross motor", "2", "12 (12\N{EN DASH}12)", "2", "11 (10\N{EN DASH}12)"),
    ]
    assert "1 step back to a lower stage, in 1 subject" in staged_page
    assert "Assessments without a stage: items missing (1)." in staged_page


def test_time_to_a_stage_is_shown_in_months_with_its_numbers(staged_page: str) -> None:
    """30 days are 1.0 month of 30.4375 days; stage 2 is not reached."""
    times = rows_of(staged_page, "Months to MiToS stage or higher")
    assert times[0][:6] == ["1", "0", "1", "1", "0", "1.0"]
    assert times[1][:6] == ["2", "0", "1", "0", "0", "not reached"]
    assert "Not counted: 1 subject. No assessment has a stage." in staged_page


def test_a_subject_id_is_never_markup(staged_page: str) -> None:
    assert "s<1>" not in staged_page
    shown = [row[0] for row in rows_of(staged_page, "Stages of each subject")]
    assert sorted(shown) == ["s&lt;1&gt;", "s2"]


def test_without_items_the_report_says_why() -> None:
    rows = [
        {**row, "concept": "alsfrs_r_total", "value": 40.0, "parent_id": None}
        for row in item_rows("subject_id | measured | items\ns1 | 2024-01-01 | 4.. ... ... ...")
    ][:1]
    text = page(rows)
    assert "No domains and no stages." in text
    assert "Only totals of the ALSFRS-R were sent" in text


def test_another_scale_has_no_word_on_stages() -> None:
    text = page([], study_of(treated=False, progression={"concept": "svc_percent_predicted"}))
    assert "stages" not in text


def test_a_lane_holds_each_stage_until_another_one_is_seen() -> None:
    """Stage 0 from the start to day 30, then 1 to day 60, then 0."""
    staging = analyse(Cohort.from_rows({"measurements": item_rows(COURSE)}), UNTREATED).staging
    assert staging is not None
    own = [one for one in staging.assessments if one.subject_id == "s<1>"]
    days = [(stage, round(start * 30.4375), round(end * 30.4375)) for stage, start, end in runs(own, "mitos")]
    assert days == [("0", 0, 30), ("1", 30, 60), ("0", 60, 60)]
    assert runs([], "mitos") == []
