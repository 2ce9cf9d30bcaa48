"""Frames: lines, files and rows as Spark has them, and Python functions over their Arrow batches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema

from fhiradapter.engines.spark.storage import literal

Session = SparkSession
Rows = DataFrame
Function = Callable[[Any, Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
SPLIT = "spark.sql.files.maxPartitionBytes"
SMALLEST_SPLIT = 8 << 20  # bytes
SPLITS_OF_A_PROCESSOR = 3  # so that none waits long for the others at the end
PAYLOAD_GROUP = 32 << 20  # bytes of values of which each has a megabyte, and which are read together


@contextmanager
def cut_fairly(spark: SparkSession, total_bytes: int) -> Iterator[None]:
    """Cut what is read meanwhile at multiples of a size that gives every processor some splits.

    None is larger than the session's `spark.sql.files.maxPartitionBytes`.
    """
    given = str(spark.conf.get(SPLIT))
    largest = spark._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes(given)  # type: ignore[union-attr]
    fair = total_bytes // (SPLITS_OF_A_PROCESSOR * spark.sparkContext.defaultParallelism)
    spark.conf.set(SPLIT, f"{min(max(fair, SMALLEST_SPLIT), largest)}b")
    try:
        yield
    finally:
        spark.conf.set(SPLIT, given)


def lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Return the lines of plain files with their ends, the file's url and the start of Spark's split.

    Bytes stay as they are: nothing is decoded, and only a line feed ends a line.
    """
    read = spark.read.format("text").option("lineSep", "\n").load([literal(path) for path in paths])
    return read.selectExpr(
        "concat(cast(value AS binary), X'0A') AS line",
        "_metadata.file_path AS url",
        "_metadata.file_block_start AS start",
    )


def files(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Return files with their whole content, one row for each, and the url."""
    read = spark.read.format("binaryFile").load([literal(path) for path in paths])
    return read.selectExpr("_metadata.file_path AS url", "content")


def named(spark: SparkSession, urls: Sequence[str]) -> DataFrame:
    """Return rows like those of `files` without content."""
    return frame(spark, pa.table({"url": list(urls), "content": pa.nulls(len(urls), pa.binary())}))


def frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """Return a table of the driver as a frame."""
    found: DataFrame = spark.createDataFrame(table)
    return found


def mapped(given: DataFrame, function: Function, shared: Any, schema: pa.Schema) -> DataFrame:
    """Return what a function of importable modules makes of the batches; workers get `shared` once."""
    broadcast = given.sparkSession.sparkContext.broadcast(shared)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return function(broadcast.value, batches)

    return given.mapInArrow(run, from_arrow_schema(schema))


def sql(text: str) -> Column:
    """Return what an SQL expression says."""
    return expr(text)


def home(given: DataFrame, schema: pa.Schema) -> pa.Table:
    """Bring a frame to the driver."""
    found: pa.Table = given.select(*schema.names).toArrow()
    return found.cast(schema)


def write_payloads(given: DataFrame, path: str, by: str) -> None:
    """Write rows of large values, each kind into a folder of its own."""
    writer = given.write.partitionBy(by).option("parquet.enable.dictionary", "false")
    writer = writer.option("parquet.block.size", str(PAYLOAD_GROUP)).option("compression", "lz4_raw")
    writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(path)


def read_payloads(spark: SparkSession, path: str, schema: pa.Schema) -> DataFrame:
    """Read what was written with `write_payloads`."""
    return spark.read.schema(from_arrow_schema(schema)).parquet(literal(path))
