"""The session: the Spark that is there already, else one of this machine's own processors."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from fhiradapter.errors import UsageError

OURS = "spark.fhiradapter.started"  # says that the session was started here and not by spark-submit
GATEWAY = "PYSPARK_GATEWAY_PORT"  # which spark-submit sets
LOGGING = Path(__file__).with_name("log4j2.properties")
# Where Java moves values of bytes, it ends before code that is compiled best would repay its compilation.
BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
PANDAS = "PySpark does not yet fully support pandas"  # which is not used here
BATCH_BYTES = "spark.sql.execution.arrow.maxBytesPerBatch"
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # INT96 is what nobody else writes
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    # Rows go to the file of their folder as they come, and need not be sorted by folder before.
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",  # a batch's offsets are numbers of 32 bits
}
RECORDS, RECORDS_WITHOUT_BYTES = 2_000, 64  # of a batch, where Spark can limit its bytes and where it cannot


@contextmanager
def spark_session(workers: int | None = None, *, brief: bool = False) -> Iterator[SparkSession]:
    """Give a session with settings of its own; one that was started for it is stopped at the end.

    The active session of a notebook, else that of spark-submit, else one of this machine with `workers`
    processors, whose Java is compiled briefly when it has little to do. Raises UsageError without Java 17,
    and where the active session is Spark Connect's.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=PANDAS, category=FutureWarning)
        active = SparkSession.getActiveSession()
        if active is not None and workers is not None:
            raise UsageError("a Spark session is running, whose processors are its own; leave out --workers")
        running = active or _started(workers, BRIEF_JAVA if brief else "")
        try:
            yield _with_settings(running)
        finally:
            if active is None:
                running.stop()


def _started(workers: int | None, java: str) -> SparkSession:
    """Start Spark: what is given here is heard by a Java that is started now, and not by spark-submit's."""
    conf = SparkConf(loadDefaults=False)
    conf.setMaster(f"local[{workers or '*'}]").setAppName("fhiradapter")
    conf.set(OURS, "true").set("spark.ui.enabled", "false")
    conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
    conf.set("spark.driver.extraJavaOptions", f"{java} -Dlog4j2.configurationFile={LOGGING.as_uri()}")
    conf.set("spark.ui.showConsoleProgress", "false")
    conf.set("spark.executorEnv.PYTHONWARNINGS", f"ignore:{PANDAS}:FutureWarning")
    conf.set("spark.sql.shuffle.partitions", str(2 * (workers or 4)))
    try:
        SparkContext._ensure_initialized(conf=conf)
        builder: SparkSession.Builder = SparkSession.builder
        if GATEWAY not in os.environ:
            # Nor by a Java that an earlier session, stopped since, has left.
            builder = builder.config(conf=conf)
        running: SparkSession = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise UsageError(
            "Spark could not be started: it needs Java 17 or newer, found by JAVA_HOME or as `java`"
        ) from error
    if running.sparkContext.getConf().get(OURS) == "true":
        running.sparkContext.pythonExec = sys.executable
    return running


def _with_settings(running: SparkSession) -> SparkSession:
    try:
        session: Any = running.newSession()
        session.sparkContext  # noqa: B018 - Spark Connect says here that it has none
    except Exception as error:  # what it raises differs between versions
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            "the active session is Spark Connect's, which does not show the files of a cluster;"
            " use a session of classic Spark, such as a single-user cluster's"
        ) from error
    for name, value in SETTINGS.items():
        session.conf.set(name, value)
    limited = session.conf.get(BATCH_BYTES, None) is not None
    session.conf.set(
        "spark.sql.execution.arrow.maxRecordsPerBatch", str(RECORDS if limited else RECORDS_WITHOUT_BYTES)
    )
    if limited:
        session.conf.set(BATCH_BYTES, "16m")
    found: SparkSession = session
    return found
