"""The grading tables decide, and a slip in them is named by file and line."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from fhiradapter.analysis.grading import grade
from fhiradapter.definitions.grading import check_grading, grading_versions, read_grading
from fhiradapter.errors import DefinitionsError

MAPPINGS = Path(__file__).parents[2] / "mappings"
VERSIONS = ("4.03", "5.0", "6.0")
ANEMIA = {
    "term": "Anemia", "direction": "low", "value": [95.0], "unit": "g/L", "range_low": 120.0,
    "range_high": 160.0, "baseline_value": None, "baseline_above_range": None,
}  # fmt: skip


def test_the_versions_are_those_that_have_a_file():
    """A version exists because its table does; the shipped tables have no findings."""
    assert grading_versions(folder=MAPPINGS) == VERSIONS
    assert check_grading(folder=MAPPINGS) == []


@pytest.fixture
def own_mappings(tmp_path):
    """A copy of the tables that a test may spoil."""
    shutil.copytree(MAPPINGS / "grading", tmp_path / "grading")
    return tmp_path


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        (
            "Anemia,low,2,a,absolute,<,100,g/L",
            "Anemia,low,2,a,absolute,<,1OO,g/L",
            "number '1OO' is not a number",
        ),
        ("Anemia,low,2,a,absolute,<,100,g/L", "Anemia,low,5,a,absolute,<,100,g/L", "grade '5' is none of"),
        (
            "Anemia,low,2,a,absolute,<,100,g/L",
            "Anemia,low,2,a,absolute,=,100,g/L",
            "comparison '=' is none of",
        ),
        (
            "Anemia,low,2,a,absolute,<,100,g/L",
            "Anemia,low,2,a,absolute,<,100,",
            "basis absolute needs a unit",
        ),
        (
            "Anemia,low,2,a,absolute,<,100,g/L",
            "Anæmia,low,2,a,absolute,<,100,g/L",
            "term Anæmia low has no row",
        ),
        (
            "Anemia,low,2,a,absolute,<,100,g/L",
            "Anemia,low,2,a,lln_fold,<,100,g/L",
            "basis 'lln_fold' is none of",
        ),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(own_mappings, was, becomes, message):
    """A slip in the table stops the reading, with the place to mend it: Anemia grade 2 stands on line 3."""
    path = own_mappings / "grading" / "ctcae_5.0.csv"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, becomes), encoding="utf-8")
    with pytest.raises(DefinitionsError, match=rf"grading/ctcae_5\.0\.csv:3: {message}"):
        read_grading("5.0", folder=own_mappings)


def test_a_threshold_moved_in_the_table_moves_the_grade(own_mappings):
    """The number is in the table and nowhere else: with anemia grade 2 below 90 g/L, 95 g/L is grade 1."""
    path = own_mappings / "grading" / "ctcae_5.0.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("Anemia,low,2,a,absolute,<,100,", "Anemia,low,2,a,absolute,<,90,"), encoding="utf-8"
    )
    frame = pd.DataFrame(ANEMIA)
    assert grade(frame, version="5.0").tolist() == [2]
    assert grade(frame, criteria=read_grading("5.0", folder=own_mappings)).tolist() == [1]


def test_a_new_file_is_a_new_version(own_mappings):
    """A table put beside the others is a version, without any Python."""
    place = own_mappings / "grading"
    shutil.copy(place / "ctcae_6.0.csv", place / "ctcae_7.0.csv")
    assert grading_versions(folder=own_mappings) == (*VERSIONS, "7.0")
    assert read_grading("7.0", folder=own_mappings).version == "7.0"


def test_a_unit_without_criteria_is_found(own_mappings):
    """A grade given in mg/dL alone would not exist for mmol/L: the reader says so instead."""
    path = own_mappings / "grading" / "ctcae_5.0.csv"
    kept = [
        line
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not line.startswith("Cholesterol high,high,3,b")
    ]
    path.write_text("".join(kept), encoding="utf-8")
    with pytest.raises(DefinitionsError, match=r"grade 3 is in mg/dL; units\.csv leads to mg/dL, mmol/L"):
        read_grading("5.0", folder=own_mappings)
