"""Measurements with numbers for names, which sort and group faster by far."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.population import places

# The order of measurements in which the first or last of equals is the same, however they were read.
SERIES = ("subject_id", "concept", "at", "row_id")


def number_measurements(
    rows: pd.DataFrame, timeline: pd.DataFrame, *, columns: Iterable[str] = ()
) -> pd.DataFrame:
    """Return the measurements of subjects with a first dose, and the side of it that they lie on.

    `rows` (n) are as from `usable_measurements`; `timeline` is indexed by subject_id with `first_dose_on`,
    `first_dose_at` and `first_dose_precision`. Columns: `person` (place in `timeline`), `row` (place in
    `rows`), `concept` and `precision` (categories), `at` (UTC), `on` (local day), `value`, `side` as from
    `side_of_first_dose`, and the further `columns` of `rows`. The index counts from 0.
    """
    numbered = pd.DataFrame(
        {
            "person": places(rows["subject_id"], timeline.index),
            "row": np.arange(len(rows)),
            "concept": pd.Categorical(rows["concept"]),
            "precision": pd.Categorical(rows["measured_precision"]),
            "at": rows["at"].array,
            "on": rows["on"].array,
            "value": rows["value"].to_numpy(dtype=float),
            **{name: rows[name].array for name in columns},
        }
    )
    side = side_of_first_dose(
        numbered["person"],
        on=numbered["on"],
        at=numbered["at"],
        precision=numbered["precision"],
        timeline=timeline.reset_index(drop=True),
    )
    return numbered.assign(side=side).loc[side.notna()].reset_index(drop=True)


def names_of(names: pd.Series, places: "pd.Series[int]") -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    """Return the names (as objects, n) that stand at some places of a column, missing at -1.

    >>> names_of(pd.Series(["a", "b"], index=[7, 8]), pd.Series([1, -1])).tolist()
    ['b', nan]
    """
    found: np.ndarray[tuple[int], np.dtype[np.object_]] = (
        names.reset_index(drop=True).reindex(places.to_numpy()).to_numpy(dtype=object)
    )
    return found
