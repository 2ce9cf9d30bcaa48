"""Analysing: from a cohort to the results of its study, in one process or in several."""

from collections.abc import Mapping
from pathlib import Path

from fhiradapter.analysis.parts import deriving_with, over_parts
from fhiradapter.analysis.population import unmatched_names
from fhiradapter.analysis.study_rows import StudyRows, study_rows, summarise_study
from fhiradapter.api import kinds_of, url_of, versions
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.deriving import ByCrew
from fhiradapter.results import Results, StudyCard
from fhiradapter.settings import Study


def analyse(cohort: Cohort, study: Study, *, workers: int = 1) -> Results:
    """Compute everything that the study asks for; the policies used are in the results.

    The subjects are shared out among `workers` processes; the results are the same whatever their number.
    Raises WorkerError when a process ends before it is done.

    >>> from fhiradapter.api import anonymous_study, build_cohort
    >>> analyse(build_cohort([]), anonymous_study()).cohort.n
    0
    """
    with deriving_with(ByCrew(workers) if workers > 1 else None):
        rows = over_parts(study_rows, cohort, study, kinds_of(study))
    return results_of(rows, study, cohort.accounting, unmatched=unmatched_names(cohort, study))


def analyse_on_spark(
    folder: str | Path,
    study: Study,
    accounting: Mapping[str, TypeAccount],
    *,
    workers: int | None = None,
) -> Results:
    """Compute the same of the cohort that a run on Spark wrote to `folder`/cohort.

    What is derived of subjects is derived by Spark's workers, bucket by bucket; what comes to the driver are
    rows that were reduced to what the summaries need. `accounting` is that of the run.
    """
    # Imported here: PySpark is there only where it is asked for.
    from fhiradapter.cluster.deriving import derive_on_spark

    derived = derive_on_spark(
        f"{url_of(folder)}/cohort",
        study_rows,
        study,
        (kinds_of(study),),
        accounting=accounting,
        workers=workers,
    )
    return results_of(derived.rows, study, accounting, unmatched=derived.unmatched)


def results_of(
    rows: StudyRows, study: Study, accounting: Mapping[str, TypeAccount], *, unmatched: tuple[str, ...] = ()
) -> Results:
    """Return the results of what was derived of all subjects; `unmatched` as from `unmatched_names`."""
    kinds = kinds_of(study)
    endpoints = summarise_study(rows, study, kinds=kinds, accounting=accounting, unmatched=unmatched)
    return Results(
        study=StudyCard(**study.study.model_dump()),
        policies=study.policies(),
        accounting=dict(accounting),
        versions=versions(),
        **endpoints,
    )
