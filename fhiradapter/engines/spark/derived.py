"""Derived: what a function makes of the rows of each bucket of subjects, on Spark."""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from fhiradapter.cohort.packing import packed_table, unpacked_table
from fhiradapter.engines.spark.faults import without_content
from fhiradapter.engines.spark.frames import home, mapped

DERIVED = pa.schema([("number", pa.int32()), ("content", pa.binary())])
PACKED = pa.schema([("bucket", pa.int32()), ("table_name", pa.string()), ("content", pa.binary())])

BucketFunction = Callable[[dict[str, list[pa.RecordBatch]]], bytes]


def of_buckets(
    tables: Mapping[str, DataFrame], bucket: str, function: BucketFunction, *, buckets: int
) -> list[bytes]:
    """Return what a function of an importable module makes of the rows of each bucket.

    tables: the rows by the name of their table, each with a column `bucket`. The function is given a bucket's
    record batches by table, without that column; a table without rows in a bucket is left out.
    """
    packed = [
        mapped(rows.withColumnRenamed(bucket, "bucket"), _packed, name, PACKED)
        for name, rows in tables.items()
    ]
    together: DataFrame = reduce(lambda one, other: one.union(other), packed)
    spread = together.repartition(buckets, "bucket").sortWithinPartitions("bucket", "table_name")
    with without_content():
        found = home(mapped(spread, _each_bucket, function, DERIVED), DERIVED).sort_by("number")
    results: list[bytes] = found.column("content").to_pylist()
    return results


def _packed(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table by bucket, each batch as bytes."""
    for batch in batches:
        buckets = batch.column("bucket")
        rows = batch.drop_columns(["bucket"])
        for number in buckets.unique().to_pylist():
            own = rows.filter(pa.compute.equal(buckets, number)) if len(buckets.unique()) > 1 else rows
            columns = [[number], [name], [packed_table(pa.Table.from_batches([own]))]]
            yield pa.RecordBatch.from_arrays(
                [pa.array(values, field.type) for values, field in zip(columns, PACKED, strict=True)],
                schema=PACKED,
            )


def _each_bucket(function: BucketFunction, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what comes of each bucket; its rows follow one another, and no two buckets are held at once."""
    bucket: Any = None
    tables: dict[str, list[pa.RecordBatch]] = {}
    for batch in batches:
        for row in batch.to_pylist():
            if row["bucket"] != bucket and tables:
                yield _result(bucket, function(tables))
                tables = {}
            bucket = row["bucket"]
            tables.setdefault(row["table_name"], []).extend(unpacked_table(row["content"]).to_batches())
    if tables:
        yield _result(bucket, function(tables))


def _result(number: int, content: bytes) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([number], pa.int32()), pa.array([content], pa.binary())], schema=DERIVED
    )
