"""Frozen results with the policies that they were computed under."""

from fhiradapter.results.base import Exclusion, Interval, Result, Spread, frame
from fhiradapter.results.biomarkers import Biomarker, BiomarkerValue
from fhiradapter.results.exposure import (
    ConcomitantCheck,
    ConcomitantFinding,
    Discharge,
    Exposure,
    Infusion,
    SubjectExposure,
)
from fhiradapter.results.progression import (
    Contrast,
    MixedModel,
    PeriodSlope,
    Progression,
    Score,
    SubjectSlope,
)
from fhiradapter.results.quality import DataQuality, Unmapped
from fhiradapter.results.safety import Coverage, DoseLimiting, Incidence, LabShift, Safety, Term
from fhiradapter.results.study import Results, StudyCard
from fhiradapter.results.subjects import CharacteristicRow, CohortSummary, SubjectSummary

__all__ = [
    "Biomarker",
    "BiomarkerValue",
    "CharacteristicRow",
    "CohortSummary",
    "ConcomitantCheck",
    "ConcomitantFinding",
    "Contrast",
    "Coverage",
    "DataQuality",
    "Discharge",
    "DoseLimiting",
    "Exclusion",
    "Exposure",
    "Incidence",
    "Infusion",
    "Interval",
    "LabShift",
    "MixedModel",
    "PeriodSlope",
    "Progression",
    "Result",
    "Results",
    "Safety",
    "Score",
    "Spread",
    "StudyCard",
    "SubjectExposure",
    "SubjectSlope",
    "SubjectSummary",
    "Term",
    "Unmapped",
    "frame",
]
