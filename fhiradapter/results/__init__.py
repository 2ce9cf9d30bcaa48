"""Frozen results with the policies that they were computed under."""

from fhiradapter.results.arms import ArmDifference, Arms, ArmSlope, ArmSummary
from fhiradapter.results.base import Exclusion, Interval, Result, Spread, frame
from fhiradapter.results.biomarkers import Biomarker, BiomarkerValue, BiomarkerVisit
from fhiradapter.results.composite import Composite, CompositeArm, RankTest, SubjectRank
from fhiradapter.results.encoding import encoded
from fhiradapter.results.exposure import (
    ConcomitantCheck,
    ConcomitantFinding,
    Course,
    Discharge,
    Exposure,
    Infusion,
    InfusionDuration,
    Interruption,
    SubjectExposure,
)
from fhiradapter.results.incidence import Incidence
from fhiradapter.results.laboratory import LabAbnormalities, LabAbnormality
from fhiradapter.results.liver import HysLaw, LiverCase
from fhiradapter.results.progression import (
    Contrast,
    MixedModel,
    PeriodSlope,
    Progression,
    Score,
    SubjectSlope,
)
from fhiradapter.results.quality import DataQuality, Snapshot, Unmapped
from fhiradapter.results.reactions import ReactionCandidate, ReactionCandidates, SpecialEvent
from fhiradapter.results.rows import ResultRows
from fhiradapter.results.safety import Coverage, DoseLimiting, LabShift, Safety, Term
from fhiradapter.results.staging import (
    DomainSpread,
    StagedAssessment,
    StageStep,
    StageSystem,
    Staging,
    SubjectStages,
    TimeToStage,
)
from fhiradapter.results.study import Results, StudyCard
from fhiradapter.results.subjects import CharacteristicRow, CohortSummary, SubjectSummary
from fhiradapter.results.survival import (
    GroupComparison,
    SubjectSurvival,
    Survival,
    SurvivalCurve,
    SurvivalStep,
)
from fhiradapter.results.vital_capacity import (
    Change,
    VitalCapacity,
    VitalCapacityValue,
    VitalCapacityVisit,
)
from fhiradapter.results.vital_signs import VitalFinding, VitalSign, VitalSigns

__all__ = [
    "ArmDifference",
    "ArmSlope",
    "ArmSummary",
    "Arms",
    "Biomarker",
    "BiomarkerValue",
    "BiomarkerVisit",
    "Change",
    "CharacteristicRow",
    "CohortSummary",
    "Composite",
    "CompositeArm",
    "ConcomitantCheck",
    "ConcomitantFinding",
    "Contrast",
    "Course",
    "Coverage",
    "DataQuality",
    "Discharge",
    "DomainSpread",
    "DoseLimiting",
    "Exclusion",
    "Exposure",
    "GroupComparison",
    "HysLaw",
    "Incidence",
    "Infusion",
    "InfusionDuration",
    "Interruption",
    "Interval",
    "LabAbnormalities",
    "LabAbnormality",
    "LabShift",
    "LiverCase",
    "MixedModel",
    "PeriodSlope",
    "Progression",
    "RankTest",
    "ReactionCandidate",
    "ReactionCandidates",
    "Result",
    "ResultRows",
    "Results",
    "Safety",
    "Score",
    "Snapshot",
    "SpecialEvent",
    "Spread",
    "StageStep",
    "StageSystem",
    "StagedAssessment",
    "Staging",
    "StudyCard",
    "SubjectExposure",
    "SubjectRank",
    "SubjectSlope",
    "SubjectStages",
    "SubjectSummary",
    "SubjectSurvival",
    "Survival",
    "SurvivalCurve",
    "SurvivalStep",
    "Term",
    "TimeToStage",
    "Unmapped",
    "VitalCapacity",
    "VitalCapacityValue",
    "VitalCapacityVisit",
    "VitalFinding",
    "VitalSign",
    "VitalSigns",
    "encoded",
    "frame",
]
