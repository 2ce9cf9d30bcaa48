"""Mappers: FHIR elements to cohort rows, pure functions, one module per resource."""
