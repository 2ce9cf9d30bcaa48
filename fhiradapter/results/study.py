"""Everything that `results.json` holds."""

from typing import Any

import msgspec

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.results.arms import Arms
from fhiradapter.results.base import Result
from fhiradapter.results.biomarkers import Biomarker
from fhiradapter.results.composite import Composite
from fhiradapter.results.encoding import encoded
from fhiradapter.results.exposure import Exposure
from fhiradapter.results.progression import Progression
from fhiradapter.results.quality import DataQuality, Snapshot
from fhiradapter.results.safety import Safety
from fhiradapter.results.staging import Staging
from fhiradapter.results.subjects import CohortSummary
from fhiradapter.results.survival import Survival
from fhiradapter.results.vital_capacity import VitalCapacity


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
    biomarkers: dict[str, Biomarker]  # concept; its further series as concept:matrix[:method]
    safety: Safety
    policies: dict[str, Any]
    accounting: dict[str, TypeAccount]
    quality: DataQuality
    versions: dict[str, str]
    vital_capacity: dict[str, VitalCapacity] = msgspec.field(default_factory=dict)  # concept[:method]
    staging: Staging | None = None
    staging_note: str | None = None  # why there is none
    survival: Survival | None = None
    composite: Composite | None = None
    arms: Arms | None = None  # when there are two or more
    snapshot: Snapshot | None = None  # when the cohort was synced from servers

    def to_json(self) -> bytes:
        """Return `results.json`: a missing number is null; what has an order, such as periods, keeps it."""
        return msgspec.json.format(encoded(self), indent=2)

    @staticmethod
    def from_json(content: bytes) -> "Results":
        """Read what `to_json` wrote; raises msgspec.ValidationError when it is something else."""
        return msgspec.json.decode(content, type=Results)
