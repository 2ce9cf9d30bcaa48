"""A run on Spark: buckets of subjects, anywhere, give the results of one process."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fhiradapter.analysing import analyse, results_of
from fhiradapter.analysis.study_rows import study_rows
from fhiradapter.api import kinds_of
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.errors import UsageError
from fhiradapter.results import encoded
from fhiradapter.runs import run_study
from fhiradapter.settings import Study, load_study
from fhiradapter.store.directory import read_cohort
from tests.spec.damaged_cohorts import damaged_cohort, damaged_study

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _spark() -> Iterator[None]:
    """Keep one Spark for the module, or say why there is none."""
    session = pytest.importorskip("fhiradapter.engines.spark.session", reason="PySpark is not installed")
    with ExitStack() as stack:
        try:
            stack.enter_context(session.spark_session(2))
        except UsageError as error:
            pytest.skip(str(error))
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the example on Spark once."""
    folder = tmp_path_factory.mktemp("spark")
    said: list[str] = []
    run = run_study(
        load_study(EXAMPLES / "als_treg/study.toml"), folder, now=NOW, engine="spark", say=said.append
    )
    assert run.partial == ()
    assert said[-1] == "deriving what is told of each subject"
    return folder


def test_a_run_on_spark_writes_what_a_run_here_does(ran: Path, tmp_path: Path) -> None:
    """The same results, number by number, and the same report but for the day it was made on."""
    here = run_study(load_study(EXAMPLES / "als_treg/study.toml"), tmp_path / "here", now=NOW)
    assert here.results is not None
    assert (ran / "results.json").read_bytes() == here.results.to_json()
    assert (ran / "report.html").stat().st_size > 100_000
    assert len(list((ran / "cohort/measurements.parquet").rglob("*.parquet"))) >= 1


@pytest.mark.parametrize(("buckets", "named"), [(3, False), (2, True)])
def test_the_number_of_buckets_does_not_matter(ran: Path, buckets: int, named: bool) -> None:
    """Subjects lie in buckets by a hash of their ids; names of the study file are settled among all."""
    from fhiradapter.cluster.deriving import derive_on_spark

    study = load_study(EXAMPLES / "als_treg/study.toml")
    cohort = read_cohort(ran)
    ids = sorted(cohort.subjects["subject_id"])
    if named:
        wanted = {"ids": [*ids[:4], "nobody"], "arms": {ids[0]: "a", ids[1]: "b", ids[2]: "b"}}
        study = study.model_copy(update={"subjects": study.subjects.model_copy(update=wanted)})
    expected = analyse(cohort, study)
    assert expected.cohort.n == (4 if named else 6)
    derived = derive_on_spark(
        str(ran / "cohort"),
        study_rows,
        study,
        (kinds_of(study),),
        accounting=cohort.accounting,
        buckets=buckets,
    )
    found = results_of(derived.rows, study, cohort.accounting, unmatched=derived.unmatched)
    assert encoded(found) == encoded(expected)
    print(f"{buckets} buckets of {expected.cohort.n} subjects: equal")


def test_damaged_rows_in_any_order_are_derived_as_here(tmp_path: Path) -> None:
    """Merged records, circles of them, and rows in another order: the results are those of one process."""
    from fhiradapter.cluster.deriving import derive_on_spark

    cohort, study = with_circle(damaged_cohort(1)), damaged_study(1)
    for name, table in cohort.tables.items():
        pq.write_table(
            table.take(pa.array(range(len(table))[::-1], pa.int64())), tmp_path / f"{name}.parquet"
        )
    derived = derive_on_spark(
        str(tmp_path), study_rows, study, (kinds_of(study),), accounting=cohort.accounting, buckets=3
    )
    found = results_of(derived.rows, study, cohort.accounting, unmatched=derived.unmatched)
    assert encoded(found) == encoded(analyse(cohort, study))


def with_circle(cohort: Cohort) -> Cohort:
    """Return the cohort with two Patients who replace each other."""
    first, second = cohort.subjects["subject_id"].dropna().unique()[:2]
    people = [
        {"row_id": f"circle-{one}", "subject_id": one, "replaced_by": f"Patient/{other}", "source": "s"}
        for one, other in ((first, second), (second, first))
    ]
    tables = dict(cohort.tables)
    circle = Cohort.from_rows({"subjects": people}).tables["subjects"]
    others = tables["subjects"].filter(
        pc.invert(pc.is_in(tables["subjects"].column("subject_id"), pa.array([first, second])))
    )
    tables["subjects"] = pa.concat_tables([others, circle])
    return Cohort(tables, cohort.accounting)


def test_a_cohort_without_rows_is_analysed_too(tmp_path: Path) -> None:
    """Nobody is in any bucket, and the tables of the results are there."""
    (tmp_path / "nobody.ndjson").write_text('{"resourceType": "Basic", "id": "b"}\n')
    study = Study.model_validate(
        {"study": {"id": "x", "title": "x"}, "sources": [{"path": ["nobody.ndjson"]}]}
    )
    study = study.model_copy(update={"folder": tmp_path})
    run = run_study(study, tmp_path / "out", now=NOW, engine="spark")
    assert run.results is not None
    assert run.results.cohort.n == 0
