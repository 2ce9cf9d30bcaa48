"""Together: what several parts gave, as if it had been derived in one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from fhiradapter.analysis.sufficient_statistics import SufficientStatistics

SUBJECT = "subject_id"

Rows = TypeVar("Rows")


def together(parts: Sequence[Rows]) -> Rows:
    """Return what several parts gave as if it had been derived in one.

    Frames, series and arrays are joined in the order of the parts, and those of subjects are brought in order
    of their ids if they are not; sets are united, counts added, dataclasses put together field by field.
    Raises TypeError for anything of which it is not clear what several of them are.
    """
    found: Any = _together(list(parts))
    result: Rows = found
    return result


def _together(parts: list[Any]) -> Any:  # noqa: C901, PLR0912 - a line per type
    known = [part for part in parts if part is not None]
    if len(known) < 2:
        return known[0] if known else None
    first = known[0]
    if isinstance(first, pd.DataFrame):
        return _frames(known)
    if isinstance(first, pd.Series):
        joined = _frames([part.to_frame("value") for part in known])["value"]
        joined.name = first.name
        return joined
    if isinstance(first, SufficientStatistics):
        return SufficientStatistics.concatenate(known).in_order()
    if isinstance(first, np.ndarray):
        return np.concatenate(known)
    if isinstance(first, pd.Index):
        return first.append(known[1:]).sort_values()
    if isinstance(first, Counter):
        total: Counter[Any] = Counter()
        for part in known:
            total.update(part)  # unlike a sum, it keeps what was counted as none
        return total
    if isinstance(first, dict):
        keys = dict.fromkeys(key for part in known for key in part)
        return {key: _together([part[key] for part in known if key in part]) for key in keys}
    if isinstance(first, (set, frozenset)):
        return first.union(*known[1:])
    if isinstance(first, bool):
        raise TypeError("of several answers it is not clear which one holds")
    if isinstance(first, (int, float)):
        return sum(known)
    if isinstance(first, str):
        if len(set(known)) > 1:
            raise TypeError("parts say different words")
        return first
    if is_dataclass(first):
        kind: Any = type(first)
        return kind(
            **{one.name: _together([getattr(part, one.name) for part in known]) for one in fields(first)}
        )
    if isinstance(first, tuple):
        return tuple(item for part in known for item in part)
    raise TypeError(f"parts of {type(first).__name__}")


def _frames(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    first = filled[0]
    numbered = isinstance(first.index, pd.RangeIndex) or first.index.name is None
    if len(filled) > 1:
        categorical = [name for name, dtype in first.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
        for name in categorical:
            filled = _with_same_categories(filled, name)
        first = pd.concat(filled, ignore_index=numbered)
    return _by_subject(first, numbered=numbered)


def _with_same_categories(frames: list[pd.DataFrame], name: Any) -> list[pd.DataFrame]:
    known = frames[0][name].cat.categories
    if all(frame[name].cat.categories.equals(known) for frame in frames[1:]):
        return frames
    every = known.append([frame[name].cat.categories for frame in frames[1:]]).unique().sort_values()
    dtype = pd.CategoricalDtype(every)
    changed = []
    for frame in frames:
        places = np.append(every.get_indexer(frame[name].cat.categories), -1)
        codes = places[frame[name].cat.codes.to_numpy()]
        values = pd.Categorical.from_codes(codes, dtype=dtype, validate=False)
        changed.append(frame.assign(**{name: pd.Series(values, index=frame.index)}))
    return changed


def _by_subject(frame: pd.DataFrame, *, numbered: bool) -> pd.DataFrame:
    """Return the rows in order of subjects; rows of one subject stay as they are."""
    if SUBJECT in frame:
        column = frame[SUBJECT]
        if isinstance(column.dtype, pd.CategoricalDtype):
            keys = column.cat.codes.to_numpy()
        else:
            keys = pd.factorize(column, sort=True)[0]
        keys = np.where(keys < 0, np.iinfo(np.int64).max, keys)
    elif frame.index.name == SUBJECT:
        keys = pd.factorize(frame.index, sort=True)[0]
    else:
        return frame
    if not (np.diff(keys) < 0).any():
        return frame
    found = frame.take(np.argsort(keys, kind="stable"))
    return found.reset_index(drop=True) if numbered else found
