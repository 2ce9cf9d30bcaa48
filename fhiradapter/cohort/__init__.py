"""The normalised cohort: its tables and what can be done with them."""
