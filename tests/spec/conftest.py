"""The engine that derives what the claims are about."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fhiradapter.analysis.parts import PartEngine, deriving_with
from fhiradapter.errors import UsageError
from tests.spec.part_engines import InParts, OnSpark

PARTS, BUCKETS = 3, 2


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[PartEngine | None]:
    """Return the engine that the command line asks for; None derives everything at once."""
    name = request.config.getoption("--engine")
    if name == "spark":
        yield from _on_spark()
    else:
        yield InParts(PARTS) if name == "parts" else None


def _on_spark() -> Iterator[PartEngine]:
    try:
        from fhiradapter.engines.spark.session import spark_session
    except ModuleNotFoundError:
        pytest.skip("PySpark is not installed: these claims are not held against Spark")
    with ExitStack() as stack:
        try:
            session = stack.enter_context(spark_session(1, brief=True))
        except UsageError as error:
            pytest.skip(f"these claims are not held against Spark: {error}")
        yield OnSpark(session, BUCKETS)


@pytest.fixture(autouse=True)
def _derived_with(engine: PartEngine | None) -> Iterator[None]:
    with deriving_with(engine):
        yield
