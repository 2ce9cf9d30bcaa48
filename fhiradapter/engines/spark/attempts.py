"""Attempts: which task of Spark this process does, however often it is tried."""

from pyspark import TaskContext


def number_of_task() -> int:
    """Return the number of the task in its stage, which all attempts of it share; 0 outside of Spark."""
    context = TaskContext.get()
    return context.partitionId() if context else 0
