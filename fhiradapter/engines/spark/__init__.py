"""The Spark engine: frames of lines, files and rows; the one place that imports pyspark."""
