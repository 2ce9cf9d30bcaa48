"""Endpoints derived of parts of the subjects are those derived of all at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.hys_law import derive_hys_law
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.parts import deriving_with
from fhiradapter.analysis.safety import derive_safety
from fhiradapter.analysis.safety_by_arm import overview_by_arm
from fhiradapter.analysis.staging import derive_staging
from fhiradapter.analysis.survival import derive_survival
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.analysis.vital_capacity import derive_vital_capacity
from fhiradapter.analysis.vital_signs import derive_vital_signs
from fhiradapter.api import build_cohort, catalogue_of
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import encoded
from fhiradapter.settings import Study, load_study
from tests.benchmarks.cohorts import study as synthetic_study
from tests.benchmarks.cohorts import synthetic_cohort
from tests.spec.damaged_cohorts import SUBJECTS, damaged_cohort, damaged_study
from tests.spec.part_engines import InParts
from tests.spec.safety_cohorts import with_safety_rows

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "als_treg" / "study.toml"
COUNTS = (7,)
COHORTS = ("synthetic", "als_treg", "nothing", *(f"damaged {seed}" for seed in range(4)))

Case = tuple[Cohort, Study, pd.DataFrame]


@pytest.fixture(scope="module", params=COHORTS)
def case(request: pytest.FixtureRequest) -> Case:
    """Return a cohort, its study and its timeline, derived of all at once."""
    cohort, study = _cohort(request.param)
    with deriving_with(None):
        return cohort, study, derive_timeline(cohort, study)


def _cohort(name: str) -> tuple[Cohort, Study]:
    if name == "synthetic":
        return synthetic_cohort(SUBJECTS), synthetic_study()
    if name == "nothing":
        return Cohort.from_rows({}), synthetic_study()
    if name == "als_treg":
        study = load_study(EXAMPLE)
        return build_cohort(study=study, now=datetime(2026, 3, 1, tzinfo=UTC)), study
    seed = int(name.removeprefix("damaged "))
    return damaged_cohort(seed), damaged_study(seed)


def same_in_parts(case: Case, derive: Callable[..., Any]) -> int:
    """Compare what is derived in parts with what is derived at once, byte for byte; return how often."""
    with deriving_with(None):
        whole = encoded(derive(*case))
    for count in COUNTS:
        with deriving_with(InParts(count)):
            assert encoded(derive(*case)) == whole, f"{count} parts"
    return len(COUNTS)


MEASURED = (derive_staging, derive_biomarkers, derive_vital_capacity, derive_survival)


def test_staging_biomarkers_capacity_and_survival_are_the_same_in_parts(case: Case) -> None:
    """Whatever the number of parts; also where a part has no subject of the study, or nobody is there."""
    compared = sum(same_in_parts(case, derive) for derive in MEASURED)
    print(f"comparisons: {compared}")
    assert compared == len(MEASURED) * len(COUNTS)


def _safety(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> Any:
    kinds = {name: concept.kind for name, concept in catalogue_of(study).concepts.items()}
    return derive_safety(cohort, study, timeline, kinds=kinds)


def _overviews(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> Any:
    return overview_by_arm(cohort, study, timeline, sorted(timeline["arm"].dropna().unique()))


def _vital_signs(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> Any:
    vitals = derive_vital_signs(cohort, study, timeline, given_infusions(cohort, study))
    return None if vitals is None else vitals.results


@pytest.mark.parametrize("more", [False, True])
def test_safety_is_the_same_in_parts(case: Case, more: bool) -> None:
    """With the values, readings, events and medication of the cohort alone, and with more of them."""
    cohort, study, timeline = case
    if more:
        cohort = with_safety_rows(cohort, seed=1)
        found = _safety(cohort, study, timeline)
        if study.treatment is not None and len(timeline):
            shown = (found.laboratory.rows, found.vital_signs.findings, found.reactions.candidates)
            assert all(shown)
    derived = (_safety, _overviews, derive_hys_law, _vital_signs)
    compared = sum(same_in_parts((cohort, study, timeline), derive) for derive in derived)
    print(f"comparisons: {compared}")
    assert compared == len(derived) * len(COUNTS)
