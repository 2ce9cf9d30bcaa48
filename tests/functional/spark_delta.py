"""A process with Delta Lake: two runs that write it, read back through Delta; prints what it found.

Ends with `WITHOUT` when Spark cannot be started with Delta's jars, which it fetches by their names.
"""

import json
import sys
from pathlib import Path
from typing import Any

from incoming import NOW
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from fhiradapter import api
from fhiradapter.cluster.layout import Layout
from fhiradapter.cohort.schema import SCHEMAS

WITHOUT = 77
NAMES = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Of Spark's own distribution, and so there already.
    "spark.jars.excludes": "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
}


def main(packages: str, jars: str, first: str, second: str, out: str) -> None:
    """Map two inputs to Delta, compare the first with Parquet, and append the second to it."""
    builder = SparkSession.builder.master("local[2]").config("spark.jars.packages", packages)
    builder = builder.config("spark.jars.ivy", jars)
    for name, value in NAMES.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except PySparkRuntimeError:
        sys.exit(WITHOUT)
    spark.sparkContext.pythonExec = sys.executable
    study, formats = api.anonymous_study(), {"parquet": first, "delta": first, "second": second}
    for name, source in formats.items():
        layout = Layout("parquet" if name == "parquet" else "delta", 2)
        api.map_on_spark([source], study, f"{out}/{name}", now=NOW, layout=layout)
    differing = {}
    for table, schema in SCHEMAS.items():
        ours = spark.read.parquet(f"{out}/parquet/cohort/{table}.parquet").select(*schema.names)
        theirs = spark.read.format("delta").load(f"{out}/delta/cohort/{table}.parquet").select(*schema.names)
        differing[table] = (ours.exceptAll(theirs).count(), theirs.exceptAll(ours).count(), theirs.count())
    print(json.dumps({"differing": differing, "appended": _appended(spark, out)}))
    spark.stop()


def _appended(spark: SparkSession, out: str) -> dict[str, Any]:
    """Append the second run's measurements to the first's; return rows, versions and sources."""
    place = f"{out}/delta/cohort/measurements.parquet"
    before = spark.read.format("delta").load(place).count()
    added = spark.read.format("delta").load(f"{out}/second/cohort/measurements.parquet")
    added.write.format("delta").mode("append").save(place)
    after = spark.read.format("delta").load(place)
    older = spark.read.format("delta").option("versionAsOf", 0).load(place).count()
    logged = len(list((Path(place) / "_delta_log").glob("*.json")))
    return {
        "before": before,
        "added": added.count(),
        "after": after.count(),
        "older": older,
        "versions": logged,
        "subjects": sorted(row["subject_id"] for row in after.select("subject_id").distinct().collect()),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
