"""The words that hold for each row, as a tuple."""

import functools
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd


def marks(conditions: Mapping[str, npt.ArrayLike], index: pd.Index) -> pd.Series:
    """Return for each row the names of its true conditions, in the order given.

    >>> marks({"rise": [True, False], "large": [True, False]}, pd.Index([0, 1])).tolist()
    [('rise', 'large'), ()]
    """
    words = list(conditions)
    codes = np.zeros(len(index), dtype=np.int64)
    for bit, holds in enumerate(conditions.values()):
        codes |= np.asarray(holds, dtype=np.int64) << bit

    @functools.cache
    def spelled(code: int) -> tuple[str, ...]:
        return tuple(word for bit, word in enumerate(words) if code >> bit & 1)

    return pd.Series([spelled(code) for code in codes.tolist()], index=index, dtype=object)


def note(ids: Iterable[object], sentence: str) -> pd.Series:
    """Return one sentence for each of some subjects, indexed by subject id."""
    index = pd.Index(list(ids), dtype=object)
    return pd.Series(sentence, index=index, dtype=object)


def gather_notes(notes: Iterable[pd.Series], population: pd.Index) -> pd.Series:
    """Return each subject's sentences as a tuple, in the order given; a sentence is not repeated.

    >>> gather_notes([note(["b"], "no birth date"), note(["b"], "died")], pd.Index(["a", "b"])).tolist()
    [(), ('no birth date', 'died')]
    """
    collected: dict[object, dict[str, None]] = {}
    for part in notes:
        for subject, sentence in zip(part.index, part, strict=True):
            collected.setdefault(subject, {})[sentence] = None
    told = [tuple(collected.get(subject, ())) for subject in population]
    return pd.Series(told, index=population, dtype=object)
