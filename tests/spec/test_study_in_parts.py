"""All endpoints of a study: the same however its subjects are divided, and whoever derives the parts."""

import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from fhiradapter import deriving
from fhiradapter.analysing import analyse, results_of
from fhiradapter.analysis.parts import Cut, Part, deriving_with, over_parts, settled_names, study_of
from fhiradapter.analysis.population import unmatched_names
from fhiradapter.analysis.study_rows import study_rows
from fhiradapter.analysis.together import together
from fhiradapter.api import kinds_of
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.deriving import ByCrew
from fhiradapter.errors import WorkerError
from fhiradapter.results import encoded
from fhiradapter.settings import Study
from tests.spec.damaged_cohorts import damaged_cohort, damaged_study
from tests.spec.part_engines import InParts

SEEDS = range(2)


def scattered(cohort: Cohort, study: Study, groups: int) -> list[Part]:
    """Return parts whose subjects do not follow one another, as the buckets of a hash."""
    settled, found = settled_names(cohort, study), []
    parts = list(Cut(cohort, study, 3 * groups))
    for number in range(groups):
        own = parts[number::groups]
        if own:
            subjects = frozenset().union(*(part.subjects for part in own))
            tables = {name: pa.concat_tables([part.cohort.tables[name] for part in own]) for name in SCHEMAS}
            found.append(Part(Cohort(tables, cohort.accounting), study_of(settled, subjects), subjects))
    return found


class Scattered:
    """Derives parts whose subjects lie anywhere."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __call__(self, derive: Callable[..., Any], cohort: Cohort, study: Study, /, *given: Any) -> Any:
        with deriving_with(None):
            parts = scattered(cohort, study, self.groups)
            return together([derive(part.cohort, part.study, *given) for part in parts])


def results(cohort: Cohort, study: Study, engine: Any) -> bytes:
    with deriving_with(engine):
        rows = over_parts(study_rows, cohort, study, kinds_of(study))
    unmatched = unmatched_names(cohort, study)
    return encoded(results_of(rows, study, cohort.accounting, unmatched=unmatched))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_study_has_one_result_however_it_is_divided(seed: int) -> None:
    """Damaged rows, merged records, names and arms; in parts next to each other and in scattered ones."""
    cohort, study = damaged_cohort(seed), damaged_study(seed)
    whole = results(cohort, study, None)
    engines = [InParts(7), Scattered(3)]
    for engine in engines:
        assert results(cohort, study, engine) == whole, engine
    print(f"seed {seed}: {len(engines)} divisions, {len(whole):,} bytes of results each")


def test_several_processes_give_the_result_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes derive parts while this one derives others."""
    cohort, study = damaged_cohort(1), damaged_study(1)
    alone = encoded(analyse(cohort, study))
    assert encoded(analyse(cohort, study, workers=2)) == alone
    rows = sum(len(table) for table in cohort.tables.values())
    monkeypatch.setattr(deriving, "ROWS_OF_A_PART", rows // 9 + 1)
    assert encoded(analyse(cohort, study, workers=3)) == alone


@pytest.mark.parametrize("workers", [1, 3])
def test_a_part_that_cannot_be_derived_is_named_and_nothing_of_its_content(workers: int) -> None:
    """The error says which part and what kind of error, and no id, whichever process it happened in."""
    cohort, study = damaged_cohort(2), damaged_study(2)
    with pytest.raises(WorkerError, match=r"part \d of the analysis: ZeroDivisionError at fails") as raised:
        ByCrew(workers)(fails, cohort, study)
    assert not any(subject in str(raised.value) for subject in cohort.subjects["subject_id"].dropna())


def test_a_part_that_another_process_cannot_derive_ends_the_analysis() -> None:
    """What this process derives well meanwhile is not taken for all."""
    cohort, study = damaged_cohort(2), damaged_study(2)
    with pytest.raises(WorkerError, match=r"part \d of the analysis: ZeroDivisionError at fails_elsewhere"):
        ByCrew(2)(fails_elsewhere, cohort, study, os.getpid())


def fails(cohort: Cohort, study: Study) -> float:
    return len(cohort.subjects) / 0


def fails_elsewhere(cohort: Cohort, study: Study, here: int) -> tuple[int, ...]:
    return (1 if os.getpid() == here else len(cohort.subjects) // 0,)
