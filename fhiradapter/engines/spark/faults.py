"""Faults: what Spark says went wrong, without what the data hold."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from fhiradapter.errors import FhirAdapterError, UsageError, WorkerError

OURS = re.compile(r"fhiradapter\.errors\.WorkerError: ([^\n]{1,500})")
MISSING = re.compile(r"ModuleNotFoundError: No module named '(fhiradapter|pyarrow)'")
CONDITION = re.compile(r"\[([A-Z_.]{1,80})\]")


@contextmanager
def without_content() -> Iterator[None]:
    """Turn errors of Spark into a WorkerError, which names the input if a worker did."""
    try:
        yield
    except FhirAdapterError:
        raise
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if said := OURS.search(text):
            raise WorkerError(said[1]) from None
        if missing := MISSING.search(text):
            raise UsageError(f"{missing[1]} is not installed where Spark's workers run") from None
        condition = CONDITION.search(text)
        what = condition[1] if condition else type(error).__name__
        raise WorkerError(f"Spark gave up ({what}); its own log says where") from None
