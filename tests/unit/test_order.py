"""Rows are put in order as pandas would, only faster."""

import numpy as np
import pandas as pd
import pytest

from fhiradapter.analysis.order import in_order

KEYS = ["subject_id", "at", "row_id"]


def _rows(count: int, *, seed: int) -> pd.DataFrame:
    """Return rows with many equal subjects, times and names, and some without."""
    random = np.random.default_rng(seed)
    days = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 4, count), unit="D"))
    rows = pd.DataFrame(
        {
            "subject_id": random.choice(["b", "a", "C", "é"], count),
            "at": days.mask(random.random(count) < 0.1),
            "row_id": random.choice(["r9", "r10", "R1", "ä"], count),
            "number": np.arange(count),
        }
    ).astype({"subject_id": "str", "row_id": "str"})
    return rows.assign(
        subject_id=rows["subject_id"].mask(random.random(count) < 0.1),
        row_id=rows["row_id"].mask(random.random(count) < 0.1),
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("categorical", [False, True])
def test_the_order_is_that_of_a_stable_sort(seed, categorical):
    """Subject, then time, then name, what is missing last, equal rows as they were."""
    rows = _rows(200, seed=seed)
    if categorical:
        rows = rows.assign(subject_id=rows["subject_id"].astype(pd.CategoricalDtype(["C", "a", "b", "é"])))
    expected = rows.sort_values(KEYS, kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(in_order(rows, KEYS), expected)


def test_no_rows_stay_no_rows():
    """An empty frame keeps its columns."""
    assert in_order(_rows(0, seed=1), KEYS).columns.tolist() == [*KEYS, "number"]
