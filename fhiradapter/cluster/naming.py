"""Naming: where something failed on one of Spark's workers, without what the data hold."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from fhiradapter.errors import FhirAdapterError, WorkerError


def named_error(where: str, error: BaseException) -> WorkerError:
    """Return an error with a place and the class of what happened, whose text may hold a patient's data."""
    if isinstance(error, FhirAdapterError):
        return WorkerError(f"{where}: {error}")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return WorkerError(f"{where}: {type(error).__name__} at {last.name}:{last.lineno}")


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Turn whatever is raised within the block into a WorkerError that names the place."""
    try:
        yield
    except GeneratorExit:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again under another name
        raise named_error(where, error) from None
