"""A function for Spark's workers that stumbles, as a fault of fhiradapter would."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from fhiradapter.cluster.inputs import Form, Input
from fhiradapter.cluster.mapped import PLANNED, Split
from fhiradapter.cluster.tasks import Named, Work

SCHEMA = pa.schema([("n", pa.int64())])


def stumble(secret: Any, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Raise an error whose text holds a secret."""
    work = Work("t", (), {}, (), (Input(0, "in.ndjson", "", "", 1, Form.LINES),), PLANNED, {})
    for batch in batches:
        with Named(work, Split(0, 0)):
            raise ValueError(secret)
        yield batch
