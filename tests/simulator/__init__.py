"""A FHIR server of synthetic data, in process and with a clock of its own, that others write to meanwhile."""
