"""What a laboratory value lacks is said, and is never taken for grade 0."""

import pandas as pd
import pytest

from fhiradapter.analysis.grading import REASONS, explain, grade
from fhiradapter.errors import UsageError


def frame_of(**columns):
    """One or more laboratory values; what is not said is missing."""
    defaults = dict.fromkeys(
        ("unit", "range_low", "range_high", "baseline_value", "baseline_above_range"), None
    )
    values = columns.pop("value")
    return pd.DataFrame({"value": values if isinstance(values, list) else [values]}).assign(
        **defaults | columns
    )


def grades(version="5.0", *, policy="worst", missing_baseline="use_range", **columns):
    frame = frame_of(**columns)
    return grade(frame, version=version, policy=policy, missing_baseline=missing_baseline).tolist()


def reason_of(version="5.0", **columns):
    row = explain(frame_of(**columns), version=version).iloc[0]
    return (row["grade"], row["reason"])


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            {"term": "Anemia", "direction": "low", "value": 95, "unit": "furlong", "range_low": 120},
            "unknown_unit",
        ),
        ({"term": "Anemia", "direction": "low", "value": 95, "unit": None, "range_low": 120}, "unknown_unit"),
        (
            {"term": "Platelet count decreased", "direction": "low", "value": 60, "unit": "Mg/dL"},
            "unknown_unit",
        ),
        ({"term": "Anemia", "direction": "low", "value": 110, "unit": "g/L"}, "no_range"),
        ({"term": "Lipase increased", "direction": "high", "value": 900, "unit": "U/L"}, "no_range"),
        ({"term": "Anemia", "direction": "low", "value": None, "unit": "g/L", "range_low": 120}, "no_value"),
        ({"term": "Anemia", "direction": "low", "value": float("inf"), "unit": "g/L"}, "no_value"),
        (
            {"term": "Hyperglycemia", "direction": "high", "value": 30, "unit": "mmol/L"},
            "no_numeric_criterion",
        ),
        (
            {"term": "Hypophosphatemia", "direction": "low", "value": 0.1, "unit": "mmol/L"},
            "no_numeric_criterion",
        ),
        ({"term": "Anaemia of sorts", "direction": "low", "value": 80, "unit": "g/L"}, "unknown_term"),
        ({"term": "Anemia", "direction": "high", "value": 80, "unit": "g/L"}, "unknown_term"),
        ({"term": None, "direction": None, "value": 80, "unit": "g/L"}, "unknown_term"),
    ],
)
def test_not_gradable_is_not_grade_0_and_has_a_reason(columns, reason):
    """What cannot be graded is <NA>, with the one reason that says what to mend."""
    outcome, given = reason_of(**columns)
    assert outcome is pd.NA
    assert given == reason
    assert reason in REASONS


def test_without_a_limit_absolute_thresholds_still_grade():
    """Hemoglobin 95 g/L is grade 2 without LLN; 110 and 130 are not gradable without it, 1 and 0 with it."""
    anemia = {"term": "Anemia", "direction": "low", "unit": "g/L", "value": [95, 110, 130]}
    assert grades(**anemia, range_low=120.0) == [2, 1, 0]
    assert grades(**anemia) == [2, pd.NA, pd.NA]


def test_an_upper_limit_of_zero_is_no_limit():
    """A reference range 0-0 is a blank that some system filled in; a lower limit of 0 is real."""
    liver = {"term": "GGT increased", "direction": "high", "value": 50, "unit": "U/L"}
    assert grades(range_high=0.0, **liver) == [pd.NA]
    assert grades(term="Haptoglobin decreased", direction="low", value=0.2, unit="g/L", range_low=0.0) == [0]


def test_a_high_baseline_is_found_from_its_value_and_the_range():
    """In 5.0, ALT 100 with ULN 40 is grade 1 on a normal baseline and grade 0 on a baseline of 80."""
    liver = {
        "term": "Alanine aminotransferase increased",
        "direction": "high",
        "value": 100,
        "range_high": 40.0,
    }
    assert grades(**liver, baseline_value=30.0) == [1]
    assert grades(**liver, baseline_value=80.0) == [0]
    assert grades(**liver, baseline_value=80.0, baseline_above_range=False) == [1]
    assert grades(**liver | {"range_high": None}, baseline_value=80.0, baseline_above_range=True) == [0]


def test_a_baseline_above_range_without_its_value_is_not_gradable():
    """A multiple of an unknown baseline is unknown; the branch for normal baselines is not meant for it."""
    outcome = reason_of(
        term="Alanine aminotransferase increased", direction="high", value=500, range_high=40.0,
        baseline_above_range=True,
    )  # fmt: skip
    assert outcome[0] is pd.NA
    assert outcome[1] == "no_baseline"


@pytest.mark.parametrize(
    ("version", "term", "by_range"),
    [
        ("5.0", "Alanine aminotransferase increased", 1),
        ("4.03", "Creatinine increased", 2),
        ("5.0", "Creatinine increased", 2),
    ],
)
def test_a_missing_baseline_follows_the_policy(version, term, by_range):
    """At 2 x ULN without a baseline: by the range, or not gradable where a baseline could make it worse."""
    case = {"term": term, "direction": "high", "value": 80, "range_high": 40.0}
    assert grades(version, **case) == [by_range]
    assert grades(version, **case, missing_baseline="not_gradable") == [pd.NA]


def test_alkaline_phosphatase_in_6_0_needs_baseline_and_limit_together():
    """Above ULN without a baseline: not gradable; within the range: grade 0 whatever the baseline was."""
    case = {"term": "Alkaline phosphatase increased", "direction": "high", "range_high": 120.0}
    assert grades("6.0", **case, value=[130, 110]) == [pd.NA, 0]
    assert grades("6.0", **case, value=[130, 130], baseline_value=[125.0, 135.0]) == [1, 0]


def test_a_grade_by_the_baseline_alone_says_that_it_may_be_worse():
    """Creatinine at twice the baseline is at least grade 2 when ULN is missing."""
    frame = frame_of(term="Creatinine increased", direction="high", value=[160, 130], baseline_value=80.0)
    result = explain(frame, version="5.0")
    assert result["grade"].tolist() == [2, 2]
    assert result["at_least"].tolist() == [True, True]


def test_an_unknown_version_names_those_that_exist():
    """The message lists the versions, and nothing is graded by a neighbour."""
    with pytest.raises(UsageError, match=r"'4\.0'.*4\.03, 5\.0, 6\.0"):
        grades("4.0", term="Anemia", direction="low", value=90, unit="g/L")


@pytest.mark.parametrize("column", ["term", "value", "baseline_above_range"])
def test_a_missing_column_is_named(column):
    """A frame without a column is a wrong call, not a frame of ungradable values."""
    frame = frame_of(term="Anemia", direction="low", value=90, unit="g/L").drop(columns=column)
    with pytest.raises(UsageError, match=column):
        grade(frame)


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({"policy": "middling"}, {}, "policy 'middling' is none of worst, best"),
        ({"missing_baseline": "guess"}, {}, "missing_baseline 'guess'"),
        ({}, {"value": "high"}, "column value holds something that is not a number"),
        ({}, {"baseline_above_range": "perhaps"}, "column baseline_above_range"),
    ],
)
def test_wrong_options_and_cells_are_refused(options, columns, message):
    """A wrong policy or a text where a number belongs is an error that says which."""
    frame = frame_of(**{"term": "Anemia", "direction": "low", "value": 90, "unit": "g/L"} | columns)
    with pytest.raises(UsageError, match=message):
        grade(frame, **options)
