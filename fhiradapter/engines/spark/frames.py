"""Frames: lines, files and rows as Spark has them, and Python functions over their Arrow batches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema

from fhiradapter.engines.spark.storage import literal
from fhiradapter.garbage import without_what_is_loaded

Session = SparkSession
Rows = DataFrame
Condition = Column
Function = Callable[[Any, Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
SPLIT = "spark.sql.files.maxPartitionBytes"
PARTITIONS = "spark.sql.files.minPartitionNum"
SMALLEST_SPLIT = 8 << 20  # bytes
SPLITS_OF_A_PROCESSOR = 3  # so that none waits long for the others at the end
PAYLOAD_GROUP = 32 << 20  # bytes of values of which each has a megabyte, and which are read together


def fair_split(spark: SparkSession, total_bytes: int) -> int:
    """Return how many bytes a task reads, so that every processor has some tasks.

    No more than the session's `spark.sql.files.maxPartitionBytes`.
    """
    given = str(spark.conf.get(SPLIT))
    largest: int = spark._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes(given)  # type: ignore[union-attr]
    fair = total_bytes // (SPLITS_OF_A_PROCESSOR * spark.sparkContext.defaultParallelism)
    return min(max(fair, SMALLEST_SPLIT), largest)


@contextmanager
def cut_fairly(spark: SparkSession, total_bytes: int) -> Iterator[None]:
    """Cut what Spark reads meanwhile at multiples of a fair size; where a file is cut depends on it alone."""
    given = {name: str(spark.conf.get(name)) for name in (SPLIT, PARTITIONS) if spark.conf.get(name, None)}
    spark.conf.set(SPLIT, f"{fair_split(spark, total_bytes)}b")
    spark.conf.set(PARTITIONS, "1")
    try:
        yield
    finally:
        spark.conf.unset(PARTITIONS)
        for name, value in given.items():
            spark.conf.set(name, value)


def tasks(spark: SparkSession, count: int) -> DataFrame:
    """Return numbers from 0 in a column `id`, each for a task of its own."""
    return spark.range(0, count, 1, count)


def by_number(given: DataFrame, column: str, count: int) -> DataFrame:
    """Send rows with a number below `count` to a task for each number."""
    if count == 1:
        return given.repartition(1)
    if hasattr(given, "repartitionById"):  # from Spark 4.1 on; else a task may have several numbers
        return given.repartitionById(count, column)
    return given.repartition(count, column)


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
        value = broadcast.value  # to read it loads what it is made of
        without_what_is_loaded()
        return function(value, batches)

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
    writer = writer.option("parquet.block.size", str(PAYLOAD_GROUP)).option("compression", "none")
    writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(path)


def read_payloads(spark: SparkSession, path: str, schema: pa.Schema) -> DataFrame:
    """Read what was written with `write_payloads`."""
    return spark.read.schema(from_arrow_schema(schema)).parquet(literal(path))
