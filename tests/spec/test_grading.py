"""Laboratory values get the CTCAE grade that the text of the National Cancer Institute gives them."""

import csv
import operator
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fhiradapter.analysis.grading import explain, grade

MAPPINGS = Path(__file__).parents[2] / "mappings"
RELATIONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# Transcribed by hand from the wording, with the multiples worked out. A ladder such as "0 >40 1 >120 2" says:
# grade 0, from above 40 on grade 1, from above 120 on grade 2; "?" is not gradable.
LADDERS = [
    (version, row)
    for row in read_rows(Path(__file__).parent / "data" / "ctcae_boundaries.csv")
    for version in row["versions"].split()
]
TEXTS = read_rows(MAPPINGS / "grading" / "ctcae_labs_text.csv")


def steps(ladder):
    """The bounds of a ladder and the grade that begins at each; the first has no bound."""
    first, *rest = ladder.split()
    yield None, None, first
    for bound, begins in zip(rest[::2], rest[1::2], strict=True):
        sign, number = re.fullmatch(r"([<>]=?)([0-9.]+)", bound).groups()
        yield RELATIONS[sign], float(number), begins


def expected(ladder, value):
    """The grade of the last bound that the value passes."""
    passed = [
        begins for relation, number, begins in steps(ladder) if number is None or relation(value, number)
    ]
    return pd.NA if passed[-1] == "?" else int(passed[-1])


def number_or_none(text):
    return float(text) if text else None


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


def both_sides(ladder):
    """Every bound, and the values a millionth of it below and above it."""
    bounds = [number for _, number, _ in steps(ladder) if number is not None]
    return [bound * factor for bound in bounds for factor in (1 - 1e-6, 1, 1 + 1e-6)] or [100.0]


@pytest.mark.parametrize(
    ("version", "row"),
    LADDERS,
    ids=lambda x: x if isinstance(x, str) else f"{x['term']}-{x['unit']}-{x['ladder']}",
)
def test_both_sides_of_every_threshold_grade_as_the_text_says(version, row):
    """Just below, at and just above each number, a value has the grade of the text."""
    values = both_sides(row["ladder"])
    result = grades(
        version,
        policy=row["policy"],
        term=row["term"],
        direction=row["direction"],
        value=values,
        unit=row["unit"],
        range_low=number_or_none(row["range_low"]),
        range_high=number_or_none(row["range_high"]),
        baseline_value=number_or_none(row["baseline_value"]),
        baseline_above_range={"True": True, "False": False, "": None}[row["baseline_above_range"]],
    )
    assert list(zip(values, map(str, result), strict=True)) == [
        (value, str(expected(row["ladder"], value))) for value in values
    ]


def test_the_transcription_has_both_sides_of_hundreds_of_thresholds(capsys):
    """How much is tested is shown, and cannot shrink without notice."""
    thresholds = sum(len(list(steps(row["ladder"]))) - 1 for _, row in LADDERS)
    values = sum(len(both_sides(row["ladder"])) for _, row in LADDERS)
    with capsys.disabled():
        print(
            f"\nCTCAE: {len(TEXTS)} texts, {len(LADDERS)} ladders, {thresholds} thresholds, {values} values"
        )
    assert len(TEXTS) == 125
    assert thresholds >= 860


@pytest.mark.parametrize("text", TEXTS, ids=lambda t: f"{t['ctcae_version']}-{t['term']}")
def test_every_grade_with_a_number_in_the_text_is_reached(text):
    """For each row of the wording, every grade with a number or limit occurs in a transcribed ladder."""
    numbered = {
        grade_number
        for grade_number in "1234"
        if re.search(r"[0-9]|ULN|LLN|normal", text[f"grade_{grade_number}"])
    }
    reached = {
        begins
        for version, row in LADDERS
        if (version, row["term"], row["direction"])
        == (text["ctcae_version"], text["term"], text["direction"])
        for _, _, begins in steps(row["ladder"])
    }
    assert numbered
    assert numbered == reached - {"0", "?"}


@pytest.mark.parametrize("text", TEXTS, ids=lambda t: f"{t['ctcae_version']}-{t['term']}")
def test_every_wording_stands_beside_the_rows_that_read_it(text):
    """The criteria quote the wording of each grade exactly, words-only grades included."""
    rows = read_rows(MAPPINGS / "grading" / f"ctcae_{text['ctcae_version']}.csv")
    quoted = {
        (row["grade"], row["text"])
        for row in rows
        if (row["term"], row["direction"]) == (text["term"], text["direction"]) and row["text"]
    }
    worded = {(g, text[f"grade_{g}"]) for g in "1234" if text[f"grade_{g}"] not in ("", "-")}
    assert quoted == worded


@pytest.mark.parametrize("multiple", ["1", "3", "5", "20"])
def test_floating_point_never_flips_a_grade(multiple):
    """At exactly 1, 3, 5, 20 x ULN the lower grade holds for each of 1000 limits, and above it the higher."""
    lower = {"1": 0, "3": 1, "5": 2, "20": 3}[multiple]
    limits = [Decimal(tenths) / 10 for tenths in range(1, 1001)]
    exact = [float(limit * Decimal(multiple)) for limit in limits]
    above = [float(limit * Decimal(multiple) * Decimal("1.0000001")) for limit in limits]
    liver = {
        "term": "Alanine aminotransferase increased",
        "direction": "high",
        "range_high": [float(limit) for limit in limits],
    }
    assert grades("4.03", value=exact, **liver) == [lower] * 1000
    assert grades("4.03", value=above, **liver) == [lower + 1] * 1000


def test_a_value_is_not_rounded_to_the_digits_of_the_threshold():
    """3.04 x ULN is above 3.0 x ULN, though it is 3.0 at two digits."""
    assert grades(
        "4.03", term="Alanine aminotransferase increased", direction="high", value=121.6, range_high=40.0
    ) == [2]


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (60, "10*9/L"), (60, "10^9/L"), (60, "10*3/uL"), (60, "K/uL"), (60, "x10E9/L"),
        (60, "10*9.{cells}/L"),
        (60_000, "/uL"), (60_000, "/mm3"), (60_000, "{cells}/uL"), (60_000, "10*3/mL"), (60_000, "10*6/L"),
    ],
)  # fmt: skip
def test_platelets_are_graded_in_every_usual_unit(value, unit):
    """60 x 10^9/L is grade 2 however it is written; 10*3/mL is a thousandth of 10*3/uL."""
    assert grades(term="Platelet count decreased", direction="low", value=value, unit=unit) == [2]


@pytest.mark.parametrize(
    ("term", "direction", "value", "unit", "grade_expected"),
    [
        ("Anemia", "low", 9.9, "g/dL", 2),
        ("Anemia", "low", 99, "g/L", 2),
        ("Anemia", "low", 6.1, "mmol/L", 2),
        ("Hypoalbuminemia", "low", 2.9, "g/dL", 2),
        ("Cholesterol high", "high", 301, "mg/dL", 2),
        ("Cholesterol high", "high", 7.76, "mmol/L", 2),
        ("Hyperkalemia", "high", 6.1, "mEq/L", 3),
        ("Hyperkalemia", "high", 6.1, "MMOL/L", 3),
        ("Hypercalcemia", "high", 7.0, "meq/L", 4),  # two charges: 3.5 mmol/L
        ("Hypoglycemia", "low", 39, "mg/dL", 3),
        ("Fibrinogen decreased", "low", 49, "mg/dL", 4),
        ("Fibrinogen decreased", "low", 0.49, "g/L", 4),
    ],
)
def test_values_are_compared_in_a_unit_of_the_text(term, direction, value, unit, grade_expected):
    """The same concentration has the same grade in any accepted unit, here without any reference range."""
    assert grades(term=term, direction=direction, value=value, unit=unit) == [grade_expected]


def test_a_value_at_a_threshold_in_milligrams_is_not_moved_by_a_molar_mass():
    """300 mg/dL cholesterol is 7.758 mmol/L, past the text's 7.75 mmol/L but not past its 300 mg/dL."""
    assert grades(term="Cholesterol high", direction="high", value=300, unit="mg/dL", range_high=200.0) == [1]


def test_symptoms_count_under_worst_only():
    """Lipase 3 x ULN in 5.0 is grade 3 with symptoms, 2 without; the grade says what it presupposes."""
    frame = frame_of(term="Lipase increased", direction="high", value=180, range_high=60.0)
    worst, best = (explain(frame, version="5.0", policy=policy).iloc[0] for policy in ("worst", "best"))
    assert (worst["grade"], worst["qualifier"]) == (3, "with signs or symptoms")
    assert (best["grade"], best["criterion"]) == (2, "> 1.5 x ULN")


def test_every_grade_says_version_policy_and_that_it_is_lab_derived():
    """A grade travels with its version: neutrophils 0.4 x 10^9/L are grade 4 in 5.0 and grade 3 in 6.0."""
    frame = frame_of(term="Neutrophil count decreased", direction="low", value=0.4, unit="10*9/L")
    said = [explain(frame, version=version).iloc[0] for version in ("5.0", "6.0")]
    assert [(row["grade"], row["ctcae_version"], row["policy"], row["label"]) for row in said] == [
        (4, "5.0", "worst", "lab-derived"),
        (3, "6.0", "worst", "lab-derived"),
    ]
    assert said[0]["criterion"] == "< 0.5 10*9/L"


def test_a_frame_of_many_terms_keeps_its_index_and_order():
    """Rows of different terms, in any order and under any index, each get their own grade."""
    frame = pd.concat(
        [
            frame_of(term="Anemia", direction="low", value=[79, 130], unit="g/L", range_low=120.0),
            frame_of(term="Hyperkalemia", direction="high", value=[7.1], unit="mmol/L"),
            frame_of(term=" anemia ", direction="low", value=[99], unit="g/L"),
        ]
    ).iloc[[2, 0, 3, 1]]
    frame.index = pd.Index(["k", "a", "a", "b"])
    result = grade(frame)
    assert result.dtype == "Int64"
    assert list(zip(result.index, result, strict=True)) == [("k", 4), ("a", 3), ("a", 2), ("b", 0)]


def test_nullable_and_categorical_columns_are_read():
    """The frame may come from Arrow: categories, nullable floats, nullable booleans."""
    frame = frame_of(term="Anemia", direction="low", value=[99, 130], unit="g/L", range_low=[None, 120.0])
    typed = frame.astype(
        {
            "term": "category", "direction": "category", "unit": "string", "value": "Float64",
            "range_low": "Float64", "baseline_value": "Float64", "baseline_above_range": "boolean",
        }
    )  # fmt: skip
    assert grade(typed).tolist() == [2, 0]
    assert grade(typed.iloc[:0]).tolist() == []


def test_a_hundred_thousand_values_grade_like_one_by_one():
    """A long frame gives what its rows give alone: grading has no memory of neighbours."""
    values = np.round(np.linspace(40, 160, 97), 2).tolist()
    alone = [
        grades(term="Anemia", direction="low", value=value, unit="g/L", range_low=120.0)[0]
        for value in values
    ]
    together = grades(term="Anemia", direction="low", value=values * 1031, unit="g/L", range_low=120.0)
    assert together == alone * 1031
