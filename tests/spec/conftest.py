"""The engine that derives what the claims are about."""

from collections.abc import Iterator

import pytest

from fhiradapter.analysis.parts import PartEngine, deriving_with
from fhiradapter.deriving import InParts

PARTS = 3


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> PartEngine | None:
    """Return the engine that the command line asks for; None derives everything at once."""
    name = request.config.getoption("--engine")
    return InParts(PARTS) if name == "parts" else None


@pytest.fixture(autouse=True)
def _derived_with(engine: PartEngine | None) -> Iterator[None]:
    with deriving_with(engine):
        yield
