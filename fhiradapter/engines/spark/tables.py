"""Tables: written by buckets of whole subjects, as Parquet or Delta, and read back."""

from collections.abc import Collection

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from fhiradapter.engines.spark.storage import literal
from fhiradapter.errors import UsageError

DELTA = "io.delta.sql.DeltaSparkSessionExtension"
WITHOUT_DELTA = (
    "--format delta: this Spark session has no Delta Lake; start it with `spark-submit --packages"
    " io.delta:delta-spark_<Spark's, such as 4.2>_2.13:<version>"
    " --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension"
    " --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog`, with the"
    " version that belongs to its Spark"
)


def bucket_of(subject: str, buckets: int) -> str:
    """Return the SQL of a subject's bucket; rows about nobody are in the first one."""
    return f"CASE WHEN {subject} IS NULL THEN 0 ELSE pmod(hash({subject}), {buckets}) END"


def write(
    rows: DataFrame,
    path: str,
    *,
    format: str,  # noqa: A002 - Spark's own name
    bucket: str | None,
    buckets: int,
    distinct: Collection[str] = (),
) -> None:
    """Write a table; with `bucket` the rows of a subject lie in one folder, `<bucket>=<number>`.

    `distinct` are columns that hardly ever say the same twice.
    """
    options: dict[str, str] = {}
    if format == "parquet":
        options = {"compression": "zstd", "parquet.compression.codec.zstd.level": "1"}
        options |= {f"parquet.enable.dictionary#{name}": "false" for name in distinct}
    if bucket is not None:
        if buckets > 1:
            # Spark sends a row to pmod(hash(subject_id), buckets) by itself: a task writes one bucket.
            rows = rows.repartition(buckets, "subject_id")
        rows = rows.selectExpr("*", f"{bucket_of('subject_id', buckets)} AS {bucket}")
    writer = rows.write.format(format).options(**options)
    (writer.partitionBy(bucket) if bucket is not None else writer).save(path)


def read(
    spark: SparkSession,
    path: str,
    format: str,  # noqa: A002 - Spark's own name
    schema: pa.Schema | None = None,
) -> DataFrame:
    """Read a table that was written; with its columns Spark need not look at a file for them."""
    if format == "parquet":
        reader = spark.read.format(format)
        return (reader.schema(from_arrow_schema(schema)) if schema else reader).load(literal(path))
    return spark.read.format(format).load(path)


def need(spark: SparkSession, format: str) -> None:  # noqa: A002 - Spark's own name
    """Raise UsageError when the session cannot write a format."""
    if format != "delta":
        return
    try:
        spark._jvm.org.apache.spark.util.Utils.classForName(DELTA, True, False)  # type: ignore[union-attr]
    except Exception as error:  # Java's ClassNotFoundException, or that of a package that is not there
        raise UsageError(WITHOUT_DELTA) from error
    if DELTA not in str(spark.conf.get("spark.sql.extensions", "")):
        raise UsageError(WITHOUT_DELTA)
