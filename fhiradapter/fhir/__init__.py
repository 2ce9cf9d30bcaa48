"""FHIR as it arrives: bytes, elements, dates and references; knows no cohort."""
