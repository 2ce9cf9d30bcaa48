"""The words that hold for each row, as a tuple."""

from collections import Counter
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

    places, different = pd.factorize(codes)
    spelled = np.empty(len(different), dtype=object)
    for place, code in enumerate(different.tolist()):
        spelled[place] = tuple(word for bit, word in enumerate(words) if code >> bit & 1)
    return pd.Series(spelled[places], index=index, dtype=object)


def count_marks(marked: pd.Series) -> dict[str, int]:
    """Return how many rows have each word, in alphabetical order.

    >>> count_marks(pd.Series([("rise", "large"), (), ("rise",)]))
    {'large': 1, 'rise': 2}
    """
    counts: dict[str, int] = {}
    for words, rows in Counter(marked.tolist()).items():
        for word in words:
            counts[word] = counts.get(word, 0) + rows
    return dict(sorted(counts.items()))


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
        for subject, sentence in zip(part.index.tolist(), part.tolist(), strict=True):
            collected.setdefault(subject, {})[sentence] = None
    told = [tuple(collected.get(subject, ())) for subject in population.tolist()]
    return pd.Series(told, index=population, dtype=object)
