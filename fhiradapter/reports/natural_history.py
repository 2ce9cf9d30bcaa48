"""The loss of the functional score that is expected without treatment, for plausibility only."""

CONCEPT = "alsfrs_r_total"  # the figures hold for this score and no other

# Points per month: mean, and the limits that 19 of 20 patients lie between.
MEAN, LEAST, MOST = 0.9, 0.04, 1.96
