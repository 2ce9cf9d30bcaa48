"""A process that writes Delta Lake, reads it back through Delta, and adds to it; prints what it saw."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from incoming import NOW
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit

from fhiradapter import api
from fhiradapter.cluster.layout import BUCKET, Layout
from fhiradapter.cohort.schema import SCHEMAS

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
    """Map an input to Delta, compare it with what the local engine makes, and append a second one's rows."""
    builder = SparkSession.builder.master("local[2]").config("spark.jars.packages", packages)
    builder = builder.config("spark.jars.ivy", jars)
    for name, value in NAMES.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.pythonExec = sys.executable
    study = api.anonymous_study()
    api.map_on_spark([first], study, f"{out}/delta", now=NOW, layout=Layout("delta", 2))
    for name, source in (("first", first), ("second", second)):
        api.map_to_folder([source], study, f"{out}/{name}", now=NOW)
    differing = {}
    for table, schema in SCHEMAS.items():
        read = (
            spark.read.parquet(f"{out}/first/{table}.parquet"),
            spark.read.format("delta").load(f"{out}/delta/cohort/{table}.parquet"),
        )
        ours, theirs = (Counter(map(repr, one.select(*schema.names).collect())) for one in read)
        differing[table] = ((ours - theirs).total(), (theirs - ours).total(), theirs.total())
    print(json.dumps({"differing": differing, "appended": _appended(spark, out)}))
    spark.stop()


def _appended(spark: SparkSession, out: str) -> dict[str, Any]:
    """Append the second run's measurements to the first's; return rows, versions and sources."""
    place = f"{out}/delta/cohort/measurements.parquet"
    rows = spark.read.format("delta").load(place)
    before = rows.count()
    added = spark.read.parquet(f"{out}/second/measurements.parquet").withColumn(BUCKET, lit(0))
    added.select(*rows.columns).write.format("delta").mode("append").save(place)
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
