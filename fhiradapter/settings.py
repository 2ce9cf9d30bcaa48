"""The study file as pydantic models."""

import tomllib
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fhiradapter.errors import SettingsError

DAYS_PER_MONTH = 30.4375  # UCUM mo: a Julian year of 365.25 days through 12


class Section(BaseModel):
    """A table of the study file: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    kind: Literal["files"] = "files"
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
    dose_cells: Annotated[float | None, Field(gt=0, description="Planned dose in cells")] = None
    schedule: list[ScheduleBlock] = []
    month: Literal["28_days", "30.4375_days", "calendar"] = "28_days"
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
    provisional_status: Annotated[bool, Field(description="Use registered and preliminary results")] = False

    @model_validator(mode="after")
    def _within_how_many_days(self) -> Self:
        if self.before_start == "within_days" and self.before_within_days is None:
            raise ValueError('before_start = "within_days" needs before_within_days')
        return self


class Biomarkers(Section):
    """Which log-normal biomarkers are analysed, and how."""

    concepts: list[str] = ["nfl_serum_plasma"]
    below_limit: Literal["half_limit_flagged", "exclude"] = "half_limit_flagged"
    compare: Annotated[
        Literal["last", "last_on_treatment"], Field(description="Value that is set against baseline")
    ] = "last"


class Safety(Section):
    """How events are counted and graded."""

    ctcae_version: Literal["4.03", "5.0", "6.0"] = "5.0"
    window_days: Annotated[
        int | None, Field(ge=0, description="TEAE until last dose + this; null: for ever")
    ] = 30
    symptom_qualified: Literal["worst", "best"] = "worst"
    infusion_reaction_hours: Annotated[float, Field(gt=0)] = 24
    cytokine_release_days: Annotated[float, Field(gt=0)] = 14
    special_interest: Annotated[
        list[str], Field(description="Terms of special interest, exact, any case")
    ] = []


class FollowUp(Section):
    """Until when subjects are followed."""

    data_cut: date | None = None
    adequate_months: Annotated[float, Field(ge=0)] = 6


class Subjects(Section):
    """Who belongs to the cohort."""

    ids: Annotated[list[str], Field(description="Only these Patient ids; empty: everybody")] = []
    arms: Annotated[dict[str, str], Field(description="Patient id -> arm")] = {}


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
    safety: Safety = Safety()
    follow_up: FollowUp = FollowUp()
    statistics: Statistics = Statistics()
    limits: Limits = Limits()
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
        sections = ("treatment", "progression", "biomarkers", "safety", "follow_up", "statistics")
        dumped = self.model_dump(mode="json", include=set(sections))
        return {
            f"{section}.{name}": value
            for section in sections
            for name, value in (dumped[section] or {}).items()
        } | {"days_per_month": DAYS_PER_MONTH}


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
