"""Everything that `results.json` holds."""

from typing import Any

import msgspec

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.results.base import Result
from fhiradapter.results.biomarkers import Biomarker
from fhiradapter.results.exposure import Exposure
from fhiradapter.results.progression import Progression
from fhiradapter.results.quality import DataQuality
from fhiradapter.results.safety import Safety
from fhiradapter.results.subjects import CohortSummary


class StudyCard(Result, frozen=True, kw_only=True):
    """What the study is, for people."""

    id: str
    title: str
    product: str | None
    target: str | None
    indication: str | None
    organisation: str | None
    phase: str | None
    registry_number: str | None
    synthetic: bool
    notice: str | None


class Results(Result, frozen=True, kw_only=True):
    """Everything that `results.json` holds."""

    study: StudyCard
    cohort: CohortSummary
    exposure: Exposure | None
    progression: Progression
    biomarkers: dict[str, Biomarker]  # concept; further matrices of it as concept:matrix
    safety: Safety
    policies: dict[str, Any]
    accounting: dict[str, TypeAccount]
    quality: DataQuality
    versions: dict[str, str]

    def to_json(self) -> bytes:
        """Return `results.json`: a missing number is null; what has an order, such as periods, keeps it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @staticmethod
    def from_json(content: bytes) -> "Results":
        """Read what `to_json` wrote; raises msgspec.ValidationError when it is something else."""
        return msgspec.json.decode(content, type=Results)
