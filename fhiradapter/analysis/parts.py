"""Parts: a cohort cut by whole subjects.

An endpoint has two halves. Its rows are derived of some whole subjects, whoever the others are; its summary
is made of the rows of all subjects. `over_parts` stands between them: it hands out parts where an engine was
set, and calls the first half once where none was.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fhiradapter.analysis.population import named_subjects
from fhiradapter.analysis.together import SUBJECT
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.settings import Study

ROWS_OF_A_RUN = 64  # rows that stand together, on average, from which it pays to pass them on as they are
NOBODY = "\x00"  # no id has such a character, so this one stands for nobody; an empty list would be everybody

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Part:
    """Some whole subjects: their rows in all tables, and the study as it concerns them.

    subjects: the ids of the tables, those of merged records too.
    """

    cohort: Cohort
    study: Study
    subjects: frozenset[str]


class PartEngine(Protocol):
    """Derives rows of parts and puts them together; who does it decides into how many parts."""

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return what `derive(cohort, study, *given)` returns, derived of parts."""
        ...


_ENGINE: ContextVar[PartEngine | None] = ContextVar("part_engine", default=None)


@contextmanager
def deriving_with(engine: PartEngine | None) -> Iterator[None]:
    """Have an engine derive the rows of all endpoints within the block."""
    token = _ENGINE.set(engine)
    try:
        yield
    finally:
        _ENGINE.reset(token)


def over_parts(derive: Callable[..., Rows], cohort: Cohort, study: Study, *given: Any) -> Rows:
    """Return the rows that `derive` gives of the whole cohort, in parts where an engine was set.

    `derive` is a function of a module, so that other processes find it by name. Of `given`, frames with one
    row per subject or with a column `subject_id` are cut as the cohort is; all else is given to every part.
    """
    engine = _ENGINE.get()
    if engine is None:
        return derive(cohort, study, *given)
    # Within a part there are no further ones.
    return engine(derive, cohort, study, *given)


class Cut:
    """A cohort cut into parts of whole persons, who are in order of their ids; a part is made when asked for.

    The parts have about as many rows, whoever the persons are. A record that was merged goes with the one
    that stands for it. Rows without a subject go with the first part; every part knows the account, since
    that says which types were read.
    """

    def __init__(self, cohort: Cohort, study: Study, count: int) -> None:
        """Cut into at most `count` parts, at least one."""
        self._cohort = cohort
        self._study = settled_names(cohort, study)
        codes = {table: cohort.codes(table, SUBJECT).codes for table in SCHEMAS}
        self._words = np.array(cohort.codes("subjects", SUBJECT).words.to_pylist(), dtype=object)
        of_person = _persons(cohort, self._words.tolist())
        share = np.zeros(len(self._words) + 1, np.int16)  # the last one is for rows without a subject
        share[:-1] = _shares(of_person, codes.values(), max(1, count))[of_person]
        self._share = share[:-1]
        self._of_rows = {table: share[of_table] for table, of_table in codes.items()}
        self._count = int(share.max()) + 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Part]:
        """Make the parts, one after the other."""
        return map(self.part, range(self._count))

    def part(self, number: int) -> Part:
        """Make one part; the first is number 0."""
        tables = {
            table: _rows_of(self._cohort.tables[table], np.flatnonzero(of_rows == number))
            for table, of_rows in self._of_rows.items()
        }
        subjects = frozenset(self._words[self._share == number].tolist())
        return Part(Cohort(tables, self._cohort.accounting), study_of(self._study, subjects), subjects)

    @property
    def subjects(self) -> frozenset[str]:
        """The ids of all parts."""
        return frozenset(self._words.tolist())


def _shares(
    of_person: npt.NDArray[np.int64], codes: Iterable[npt.NDArray[np.int32]], count: int
) -> npt.NDArray[np.int64]:
    """Return the part of each id: persons follow one another, and each part has about as many rows."""
    size = len(of_person)
    rows = np.zeros(size, np.int64)
    for of_table in codes:
        rows += np.bincount(of_table + 1, minlength=size + 1)[1:]  # -1 is for rows without a subject
    of_persons = np.zeros(size, np.int64)
    np.add.at(of_persons, of_person, rows)
    middle = 2 * np.cumsum(of_persons) - of_persons
    numbers = middle * count // np.maximum(2 * of_persons.sum(), 1)
    leads = of_person == np.arange(size)
    share = np.zeros(size, np.int64)
    share[leads] = np.unique(numbers[leads], return_inverse=True)[1]
    return share


def _rows_of(table: pa.Table, places: npt.NDArray[np.int64]) -> pa.Table:
    """Return the rows at some places, which are in order."""
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    if len(breaks) * ROWS_OF_A_RUN < len(places):
        # What was measured at one time often stands together, and what stands together need not be copied.
        starts, stops = np.append(0, breaks), np.append(breaks, len(places))
        runs = [table.slice(places[start], stop - start) for start, stop in zip(starts, stops, strict=True)]
        return pa.concat_tables(runs) if len(places) else table.slice(0, 0)
    taken = pa.array(places)
    columns = [
        pa.nulls(len(places), column.type) if column.null_count == len(column) else column.take(taken)
        for column in table.columns
    ]
    return pa.table(columns, schema=table.schema)


def settled_names(cohort: Cohort, study: Study) -> Study:
    """Return the study with the ids that its names of subjects mean in the whole cohort.

    Which person a name means is told by all of them: with several sources it may mean several, and an id may
    have been merged into one of another part.
    """
    ids, arms = study.subjects.ids, study.subjects.arms
    if not ids and not arms:
        return study
    meant = named_subjects(cohort, ids).dropna()
    of_arms = named_subjects(cohort, arms)
    own = of_arms.index.to_series().eq(of_arms)
    chosen = {
        str(subject): arms[name]
        # A surviving id's own entry goes before one of an id that was merged into it, and else the first.
        for name, subject in pd.concat([of_arms[~own], of_arms[own]])[::-1].dropna().items()
    }
    chosen |= {str(name): arms[str(name)] for name in of_arms.index[own]}
    settled = study.subjects.model_copy(
        update={"ids": (meant.tolist() or [NOBODY]) if ids else [], "arms": chosen}
    )
    return study.model_copy(update={"subjects": settled})


def study_of(study: Study, subjects: frozenset[str]) -> Study:
    """Return a study with settled names as it concerns some subjects."""
    ids, arms = study.subjects.ids, study.subjects.arms
    if not ids and not arms:
        return study
    settled = study.subjects.model_copy(
        update={
            "ids": ([name for name in ids if name in subjects] or [NOBODY]) if ids else [],
            "arms": {name: arm for name, arm in arms.items() if name in subjects},
        }
    )
    return study.model_copy(update={"subjects": settled})


def cut(value: Any, subjects: frozenset[str]) -> Any:
    """Return the rows of some subjects, of a frame or of a dataclass of frames; anything else as it is."""
    if isinstance(value, pd.DataFrame):
        if SUBJECT not in value and _is_of_subjects(value.index):
            return value.loc[value.index.isin(subjects)]
        if SUBJECT in value:
            found = value.loc[value[SUBJECT].isin(subjects)]
            if isinstance(found[SUBJECT].dtype, pd.CategoricalDtype):
                found = found.assign(**{SUBJECT: found[SUBJECT].cat.remove_unused_categories()})
            return found.reset_index(drop=True) if isinstance(value.index, pd.RangeIndex) else found
        return value
    if isinstance(value, pd.Index):
        return value[value.isin(subjects)]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: cut(getattr(value, one.name), subjects) for one in fields(value)})
    return value


def subjects_in(value: Any) -> frozenset[str]:
    """Return the ids of the subjects that a frame, or a dataclass or tuple of frames, has rows of."""
    if isinstance(value, pd.DataFrame):
        ids = value[SUBJECT] if SUBJECT in value else value.index if _is_of_subjects(value.index) else None
        return frozenset() if ids is None else frozenset(pd.Index(ids).dropna().unique())
    if isinstance(value, tuple):
        return frozenset().union(*map(subjects_in, value))
    if is_dataclass(value) and not isinstance(value, type):
        return frozenset().union(*(subjects_in(getattr(value, one.name)) for one in fields(value)))
    return frozenset()


def _is_of_subjects(index: pd.Index) -> bool:
    return index.name == SUBJECT or (
        index.name is None
        and pd.api.types.is_string_dtype(index.dtype)
        and not isinstance(index, pd.RangeIndex)
    )


def _persons(cohort: Cohort, words: list[str]) -> npt.NDArray[np.int64]:
    """Return for each id the place of the one that stands for the person."""
    places = np.arange(len(words), dtype=np.int64)
    merged = cohort.select("subjects", ["subject_id", "replaced_by"]).astype("str")
    merged = merged.loc[merged["replaced_by"].notna() & merged["subject_id"].notna()]
    if merged.empty:
        return places
    into = merged["replaced_by"].str.replace(r"^.*/", "", regex=True)
    found, _ = survivors(dict(zip(merged["subject_id"].tolist(), into.tolist(), strict=True)))
    place = {word: number for number, word in enumerate(words)}
    for gone, survivor in found.items():
        if gone in place and survivor in place:
            places[place[gone]] = place[survivor]
    return places
