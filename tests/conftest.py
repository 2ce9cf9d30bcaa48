"""Settings that hold for every test."""

import pytest
from hypothesis import settings

# A busy machine is no fault of the code; examples are the same in every run.
settings.register_profile("fhiradapter", deadline=None, derandomize=True)
settings.load_profile("fhiradapter")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the claims of tests/spec be held against another engine."""
    parser.addoption(
        "--engine",
        choices=["local", "parts", "spark"],
        default="local",
        help="what derives the endpoints of tests/spec: all subjects at once, in parts, or in parts on Spark",
    )
