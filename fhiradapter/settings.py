"""The study file as pydantic models."""

import tomllib
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fhiradapter.connection import LOOPBACK, Server
from fhiradapter.errors import SettingsError
from fhiradapter.section import Section

DAYS_PER_MONTH = 30.4375  # UCUM mo: a Julian year of 365.25 days through 12


class StudyCard(Section):
    """What the study is, for people."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    title: Annotated[str, Field(min_length=1)]
    product: str | None = None
    target: str | None = None
    indication: str | None = None
    organisation: str | None = None
    phase: str | None = None
    registry_number: str | None = None
    synthetic: Annotated[
        bool, Field(description="True when no subject is a real person; shown everywhere")
    ] = False
    notice: Annotated[str | None, Field(description="A sentence shown on top of the report")] = None


class Source(Section):
    """Where FHIR comes from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "input"
    kind: Literal["files", "server"] = "files"
    path: Annotated[list[str], Field(description="Files, folders or globs, relative to the study file")] = []
    base_url: Annotated[
        str | None, Field(description="Absolute references below it are this source's own")
    ] = None
    site: Annotated[str | None, Field(description="Site overlay, relative to the study file")] = None
    time_zone: Annotated[str | None, Field(description="IANA name; local days are counted in it")] = None

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        try:
            return ZoneInfo(name).key if name else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("unknown time zone; write a name such as Europe/Berlin") from None

    fhir_version: Annotated[
        Literal["STU3", "R4", "R4B", "R5"] | None,
        Field(description="Version that `map_resource` checks by; mapping tells versions apart by the data"),
    ] = None
    server: Annotated[Server | None, Field(description='How the server is read; kind = "server" only')] = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "files":
            if self.server is not None:
                raise ValueError('a source of kind "files" has no [sources.server]; write kind = "server"')
            return self
        parts = urlsplit(self.base_url or "")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError("a server needs base_url, such as https://ehr.example.org/fhir")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("base_url: http is for this machine alone; patient data need https")
        return self


class Limits(Section):
    """How large a thing may be before it is refused, and how much refusal makes a run partial."""

    resource_bytes: Annotated[int, Field(gt=0)] = 8 * 2**20
    document_bytes: Annotated[int, Field(gt=0, description="A Bundle or JSON array, which is held whole")] = (
        2**30
    )
    nesting: Annotated[int, Field(ge=64, le=500, description="Levels of JSON; FHIR needs some twenty")] = 64
    quarantined_percent: Annotated[float, Field(ge=0, le=100, description="More than this: exit code 4")] = (
        5.0
    )


class ScheduleBlock(Section):
    """Some planned visits at one interval, each with its window in days."""

    count: Annotated[int, Field(gt=0, le=1_000)]
    interval: Annotated[int, Field(gt=0, le=1_000)] = 1
    every: Literal["day", "week", "month"]
    early_days: Annotated[int, Field(ge=0)] = 0
    late_days: Annotated[int, Field(ge=0)] = 0


class Treatment(Section):
    """The product under study and when it is to be given; absent from a study without treatment."""

    concept: Annotated[str, Field(description="Product concept, as in the site overlay's [[products]]")]
    comparators: Annotated[
        list[str],
        Field(
            description="Concepts given in its place, such as placebo: their infusions follow the schedule "
            "and set the first and last dose like the product's, and hold no cells"
        ),
    ] = []
    dose_cells: Annotated[float | None, Field(gt=0, description="Planned dose in cells")] = None
    schedule: list[ScheduleBlock] = []
    month: Literal["28_days", "30.4375_days", "calendar"] = "28_days"
    course_gap_days: Annotated[
        int | None,
        Field(ge=1, description="More days between infusions begin a new course; null: from the schedule"),
    ] = None
    excluded_kinds: Annotated[
        list[str], Field(description="Kinds of medication that the protocol forbids, as in concepts.csv")
    ] = []
    excluded_from_days: Annotated[int, Field(description="Window start, days from first dose")] = -28
    excluded_to_days: Annotated[int, Field(description="Window end, days from last dose")] = 30


class Progression(Section):
    """How the functional score is read."""

    concept: str = "alsfrs_r_total"
    maximum: Annotated[float, Field(gt=0)] = 48
    washout_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    before_start: Literal["first_score", "onset", "within_days"] = "first_score"
    before_within_days: Annotated[int | None, Field(gt=0)] = None
    minimum_points: Annotated[int, Field(ge=2)] = 2
    minimum_days: Annotated[float, Field(ge=0)] = 90
    time_scale: Annotated[
        Literal["local_day", "instant"], Field(description="Count in local days, or in exact instants")
    ] = "local_day"
    time_origin: Literal["first_dose", "first_score", "onset"] = "first_dose"
    same_day: Annotated[
        Literal["mean", "first", "all"], Field(description="Several scores of one subject on one day")
    ] = "mean"
    both_cutting_items: Literal["flag_and_exclude_total", "prefer_5a", "max"] = "flag_and_exclude_total"
    kings_no_region: Annotated[
        Literal["stage_1", "none"],
        Field(description="King's stage when points are lost, but in no region that the stages count"),
    ] = "stage_1"
    provisional_status: Annotated[bool, Field(description="Use registered and preliminary results")] = False

    @model_validator(mode="after")
    def _within_how_many_days(self) -> Self:
        if self.before_start == "within_days" and self.before_within_days is None:
            raise ValueError('before_start = "within_days" needs before_within_days')
        return self


class PlannedVisit(Section):
    """A visit that the protocol plans, and how far from its day a value may still stand for it.

    Without any, the planned infusions after the first are the visits, with windows halfway to the next.
    """

    label: Annotated[str, Field(min_length=1)]
    day: Annotated[int, Field(ge=-36_500, le=36_500, description="Days from first dose, else first score")]
    early_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    late_days: Annotated[int, Field(ge=0, le=36_500)] = 0


def _labels_are_distinct(visits: list[PlannedVisit]) -> list[PlannedVisit]:
    if len({visit.label for visit in visits}) < len(visits):
        raise ValueError("two visits have the same label")
    return visits


Visits = Annotated[list[PlannedVisit], AfterValidator(_labels_are_distinct)]


class Biomarkers(Section):
    """Which log-normal biomarkers are analysed, and how."""

    concepts: list[str] = ["nfl_serum_plasma"]
    below_limit: Literal["half_limit_flagged", "exclude"] = "half_limit_flagged"
    compare: Annotated[
        Literal["last", "last_on_treatment"], Field(description="Value that is set against baseline")
    ] = "last"
    visits: Visits = []


class VitalCapacity(Section):
    """Which series of vital capacity are analysed, and how."""

    concepts: Annotated[
        list[str] | None, Field(description="Not set: each concept of vital capacity that was measured")
    ] = None
    same_day: Annotated[
        Literal["highest", "mean"], Field(description="Several values of one subject on one day")
    ] = "highest"
    compare: Annotated[
        Literal["last", "last_on_treatment"], Field(description="Value that is set against baseline")
    ] = "last"
    visits: Visits = []


class Survival(Section):
    """What survival is counted from, and until what."""

    origin: Annotated[
        Literal["first_dose", "index", "first_score", "onset"],
        Field(
            description="Time 0; `index`: first dose, else first score. Without treatment `first_dose` means"
            " the first score"
        ),
    ] = "first_dose"
    event: Literal["death", "death_ventilation_tracheostomy"] = "death"
    event_concepts: Annotated[
        list[str], Field(description="Concepts that count beside death in the composite event")
    ] = ["ventilator_dependence", "tracheostomy"]
    event_terms: Annotated[list[str], Field(description="Terms that count as well, exact, any case")] = []
    undated_death: Annotated[
        Literal["at_last_contact", "exclude"], Field(description="A death without any date")
    ] = "at_last_contact"
    censoring: Annotated[
        Literal["last_contact", "data_cut"],
        Field(description="Until when those without the event count; `data_cut`: alive until then"),
    ] = "last_contact"


class Composite(Section):
    """How function and survival are ranked together."""

    common_time: Annotated[
        Literal["carry_last", "interpolate"],
        Field(description="A score at a day without a visit: the last one before, or between its neighbours"),
    ] = "carry_last"
    lost_before_death: Annotated[
        Literal["survivor_wins", "tie"],
        Field(description="A subject last seen alive before the other one died"),
    ] = "survivor_wins"
    within_months: Annotated[
        float | None, Field(gt=0, description="Only deaths and scores until then; null: all of them")
    ] = None


class Safety(Section):
    """How events are counted and graded."""

    ctcae_version: Literal["4.03", "5.0", "6.0"] = "5.0"
    window_days: Annotated[
        int | None, Field(ge=0, description="TEAE until last dose + this; null: for ever")
    ] = 30
    symptom_qualified: Literal["worst", "best"] = "worst"
    infusion_reaction_hours: Annotated[float, Field(gt=0)] = 24
    rescue_kinds: Annotated[
        list[str], Field(description="Kinds of medication that may treat a reaction, as in concepts.csv")
    ] = ["premedication"]
    rescue_concepts: Annotated[list[str], Field(description="Further medication that may treat one")] = [
        "methylprednisolone",
        "prednisone",
        "tocilizumab",
    ]
    cytokine_release_days: Annotated[float, Field(gt=0)] = 14
    special_interest: Annotated[
        list[str], Field(description="Terms of special interest, exact, any case")
    ] = []


class Store(Section):
    """Where synced resources are kept."""

    path: Annotated[str, Field(description="Folder, relative to the study file")] = "store"


class Sync(Section):
    """What a sync reads, and what it does afterwards."""

    types: Annotated[list[str], Field(description="Resource types to read; empty: all that are mapped")] = []
    reconcile_days: Annotated[
        float, Field(ge=0, description="Days between full comparisons of ids and versions")
    ] = 7
    then: Annotated[
        list[Literal["analyse", "report"]], Field(description="What to refresh after a sync")
    ] = []
    out: Annotated[str, Field(description="Folder of results.json and report.html")] = "results"
    metrics: Annotated[str | None, Field(description="File for Prometheus' textfile collector")] = None


class FollowUp(Section):
    """Until when subjects are followed."""

    data_cut: date | None = None
    adequate_months: Annotated[float, Field(ge=0)] = 6


class Subjects(Section):
    """Who belongs to the cohort, and in which arm."""

    ids: Annotated[
        list[str],
        Field(
            description="Only these Patient ids, with several sources as 'source:id'; an id that was merged "
            "into another means that one; empty: everybody"
        ),
    ] = []
    arms: Annotated[
        dict[str, str], Field(description="Patient id, as in `ids`, -> arm; goes before any ResearchSubject")
    ] = {}
    research_study: Annotated[
        str | None,
        Field(
            description="The ResearchStudy whose ResearchSubjects give the arms, where there are several: "
            "its id, reference or identifier; without it all of them count"
        ),
    ] = None
    arm_by: Annotated[
        Literal["actual", "assigned"],
        Field(description="Arm followed before arm assigned, or the other way round (as randomised)"),
    ] = "actual"
    arm_names: Annotated[
        dict[str, str], Field(description="Arm as sent, such as an id of R5, -> arm as it is to be called")
    ] = {}
    reference_arm: Annotated[
        str | None,
        Field(description="Arm that the others are compared with; without it the last by alphabet"),
    ] = None


class Statistics(Section):
    """Confidence level and randomness."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bootstrap_samples: Annotated[int, Field(ge=0)] = 2000
    seed: Annotated[int, Field(ge=0)] = 20_240_101


class Study(Section):
    """One study file."""

    study: StudyCard
    sources: list[Source] = []
    subjects: Subjects = Subjects()
    treatment: Treatment | None = None
    progression: Progression = Progression()
    biomarkers: Biomarkers = Biomarkers()
    vital_capacity: VitalCapacity = VitalCapacity()
    survival: Survival = Survival()
    composite: Composite = Composite()
    safety: Safety = Safety()
    follow_up: FollowUp = FollowUp()
    statistics: Statistics = Statistics()
    limits: Limits = Limits()
    store: Store = Store()
    sync: Sync = Sync()
    folder: Annotated[Path, Field(description="Folder of the study file; paths start from it")] = Path()

    @field_validator("sources")
    @classmethod
    def _names_are_distinct(cls, sources: list[Source]) -> list[Source]:
        names = [source.name for source in sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name; give each its own `name`")
        return sources

    def policies(self) -> dict[str, object]:
        """Every choice that a number depends on, by name as in the study file."""
        sections = (
            "treatment",
            "progression",
            "biomarkers",
            "vital_capacity",
            "survival",
            "composite",
            "safety",
            "follow_up",
            "statistics",
        )
        dumped = self.model_dump(mode="json", include=set(sections))
        return {
            f"{section}.{name}": value
            for section in sections
            for name, value in (dumped[section] or {}).items()
        } | {
            "subjects.research_study": self.subjects.research_study,
            "subjects.arm_by": self.subjects.arm_by,
            "subjects.reference_arm": self.subjects.reference_arm,
            "days_per_month": DAYS_PER_MONTH,
        }


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Raises SettingsError, naming the file and each setting that is wrong.

    >>> load_study("no-such-study.toml")
    Traceback (most recent call last):
    fhiradapter.errors.SettingsError: no-such-study.toml: there is no such study file
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: there is no such study file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error
    try:
        return Study.model_validate({**content, "folder": file.resolve().parent})
    except ValidationError as error:
        raise SettingsError(f"{file}: {'; '.join(map(_complaint, error.errors()))}") from error


def _complaint(part: Any) -> str:
    """Return what is wrong with one setting; a misspelt one is told its likely name."""
    *place, name = map(str, part["loc"] or ("study file",))
    where = ".".join((*place, name))
    if part["type"] != "extra_forbidden":
        return f"{where}: {part['msg']}"
    model: Any = Study
    for step in place:
        field = None if step.isdigit() else model.model_fields.get(step)
        if field is not None:
            kinds = (field.annotation, *get_args(field.annotation))
            model = next(
                (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), model
            )
    close = get_close_matches(name, model.model_fields, 1)
    return f"{where}: there is no such setting" + (f"; is it {close[0]}?" if close else "")
