"""A cohort made by Spark: the same kernel in its workers, and the same settlement."""
