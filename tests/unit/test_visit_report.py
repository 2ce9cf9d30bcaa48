"""The report's parts on planned visits and on vital capacity."""

import msgspec
import pytest
from report_course_fixture import neurofilament
from report_fixture import treated_results
from report_page import Page

from fhiradapter.reports.biomarker_plot import picture_biomarker
from fhiradapter.reports.biomarker_tables import biomarker_heading, visit_table
from fhiradapter.reports.figure import drawing_style
from fhiradapter.reports.html import render
from fhiradapter.reports.vital_capacity_plot import picture_capacity
from fhiradapter.results import BiomarkerVisit, Change, VitalCapacity, VitalCapacityValue, VitalCapacityVisit

NOTHING = {"gmr": None, "ci95": None, "percent_change": None, "geometric_mean": None}


def visit(label, day, **found):
    usual = {"early_days": 14, "late_days": 14, "subjects": 0, "below_limit": 0, "n": 0, "note": None}
    return BiomarkerVisit(label=label, day=day, **{**usual, **NOTHING, **found})


VISITS = (
    visit(
        "Month 3",
        91,
        subjects=6,
        n=6,
        below_limit=1,
        geometric_mean=97.0,
        gmr=0.91,
        ci95=(0.85, 0.97),
        percent_change=-9.0,
    ),
    visit("Month <5>", 152, note="no value at this visit"),
)


def value(subject, months, level, change):
    return VitalCapacityValue(
        subject_id=subject,
        row_id=f"{subject}{months}",
        on=None,
        months=months,
        value=level,
        change=change,
        relative_change=None,
        is_baseline=change == 0,
        visit=None if change == 0 else "Month 3",
    )


def capacity(*, n=3, unit="%"):
    change = Change(
        n=n,
        change=-4.0 if n else None,
        ci95=(-6.5, -1.5) if n else None,
        relative_change=-5.0 if n else None,
        relative_ci95=(-8.0, -2.0) if n else None,
        note=None if n else "no subject with a baseline and a later value",
    )
    place = {"day": 91, "early_days": 14, "late_days": 14}
    return VitalCapacity(
        concept="svc_percent_predicted" if unit == "%" else "svc_litres",
        method=None,
        unit=unit,
        baseline_n=n,
        baseline_mean=80.0 if n else None,
        baseline_sd=5.0 if n else None,
        compared="last",
        change=change,
        visits=(VitalCapacityVisit(label="Month 3", subjects=n, mean=76.0, change=change, **place),),
        periods={},
        contrasts={},
        by_subject_rows=(),
        excluded=(),
        series=tuple(
            one
            for subject in "abc"[:n]
            for one in (value(subject, 0.0, 80.0, 0.0), value(subject, 3.0, 76.0, -4.0))
        ),
        notes={},
    )


def test_each_visit_has_a_row_and_a_reason_where_nobody_came():
    """Two visits, two rows; the label of the second is text and not markup."""
    table = visit_table(msgspec.structs.replace(neurofilament(), visits=VISITS), level="95 %")
    assert table is not None
    assert [(row[0].replace("\N{NO-BREAK SPACE}", " "), row[1], row[6]) for row in table.rows] == [
        ("Month 3", "91 ± 14", "0.91"),
        ("Month <5>", "152 ± 14", "–"),
    ]
    assert "Month <5>: no value at this visit." in table.remarks
    results = msgspec.structs.replace(
        treated_results(), biomarkers={"nfl": msgspec.structs.replace(neurofilament(), visits=VISITS)}
    )
    page = render(results)
    assert "&lt;5&gt;" in page
    assert "<5>" not in page


def test_visits_that_nobody_came_to_are_one_sentence():
    alone = msgspec.structs.replace(neurofilament(), visits=VISITS[1:])
    assert visit_table(alone, level="95 %") is None


@pytest.mark.parametrize("points", [0, 1])
def test_biomarker_without_a_change_has_no_picture(points):
    """One point, or many of nobody with a baseline: two empty charts would say nothing."""
    one = msgspec.structs.replace(neurofilament(), series=neurofilament().series[:points])
    assert picture_biomarker(one, index=1, origin="first dose") is None
    nobody = msgspec.structs.replace(neurofilament(), n=0)
    assert picture_biomarker(nobody, index=1, origin="first dose") is None


def test_method_is_in_the_heading_only_where_it_tells_two_series_apart():
    by = msgspec.structs.replace(neurofilament(), method="Simoa")
    assert biomarker_heading(by, several_methods=False) == "Neurofilament light in plasma"
    assert biomarker_heading(by, several_methods=True) == "Neurofilament light in plasma (Simoa)"


def test_lung_function_is_a_section_where_it_was_measured():
    """Percent predicted falls by percentage points, litres by litres."""
    found = {"svc_percent_predicted": capacity(), "svc_litres": capacity(unit="L")}
    with_lungs = render(msgspec.structs.replace(treated_results(), vital_capacity=found))
    assert 'id="lung"' in with_lungs
    assert "Change, percentage points" in with_lungs
    assert "Change, L" in with_lungs
    assert 'id="lung"' not in render(treated_results())
    assert Page(with_lungs) is not None


def test_series_without_a_change_is_told_and_not_drawn():
    with drawing_style():
        assert picture_capacity(capacity(n=0), index=1, origin="first dose") is None
        assert picture_capacity(capacity(), index=1, origin="first dose") is not None
    told = render(msgspec.structs.replace(treated_results(), vital_capacity={"svc": capacity(n=0)}))
    assert "No subject with a baseline and a later value." in told
