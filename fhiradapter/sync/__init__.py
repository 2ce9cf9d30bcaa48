"""Scheduled sync: what changed on a FHIR server, into the store."""
