"""The HTML report as one self-contained file."""

from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from fhiradapter.reports import (
    arm_tables,
    biomarker_tables,
    composite_tables,
    course_tables,
    exposure_tables,
    lab_tables,
    liver_tables,
    natural_history,
    progression_tables,
    quality_tables,
    reaction_tables,
    safety_tables,
    staging_tables,
    study_tables,
    survival_tables,
    vital_capacity_tables,
    vital_sign_tables,
)
from fhiradapter.reports.biomarker_plot import picture_biomarker
from fhiradapter.reports.cautions import conclusions
from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.figure import Picture, drawing_style
from fhiradapter.reports.formats import MISSING, count, number, plain
from fhiradapter.reports.glossary import used_abbreviations
from fhiradapter.reports.key_figures import key_figures
from fhiradapter.reports.period_plot import picture_periods
from fhiradapter.reports.spaghetti_plot import picture_spaghetti
from fhiradapter.reports.staging_plot import picture_stages
from fhiradapter.reports.survival_plot import picture_survival
from fhiradapter.reports.swimmer_plot import picture_swimmer, undrawn
from fhiradapter.reports.table import Table
from fhiradapter.reports.trajectory_plot import MOST_PANELS, plot_panels
from fhiradapter.reports.vital_capacity_plot import picture_capacity
from fhiradapter.reports.wording import TIME_ORIGINS, inner, label, plural, sentence
from fhiradapter.results import Results

ABSENT = Markup('<abbr class="missing" title="not available">\N{EN DASH}</abbr>')


@dataclass(frozen=True, kw_only=True)
class BiomarkerPart:
    """The part of the report on one biomarker, or one series of vital capacity."""

    heading: str
    picture: Picture | None
    tables: tuple[Table, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section's place in the contents."""

    id: str
    heading: str


def shown(value: object) -> object:
    """Return what a template prints: a missing value in its own form, text without control characters."""
    if value is None or value == MISSING:
        return ABSENT
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value)
    return value


def packaged(name: str) -> str:
    """Return a text file that is shipped beside this module."""
    return (files("fhiradapter.reports") / name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and an unknown name is an error."""
    made = Environment(
        loader=FunctionLoader(packaged),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"label": label, "inner": inner, "sentence": sentence, "count": count, "number": number}
    made.globals["plural"] = plural
    return made


def biomarker_parts(results: Results, *, origin: str) -> tuple[BiomarkerPart, ...]:
    """Return the parts of the biomarkers that have values."""
    level = confidence(results)
    kinds = Counter((biomarker.concept, biomarker.matrix) for biomarker in results.biomarkers.values())
    return tuple(
        BiomarkerPart(
            heading=biomarker_tables.biomarker_heading(
                biomarker, several_methods=kinds[biomarker.concept, biomarker.matrix] > 1
            ),
            picture=picture_biomarker(biomarker, index=index, origin=origin),
            tables=present(
                biomarker_tables.biomarker_table(biomarker, level=level),
                biomarker_tables.visit_table(biomarker, level=level),
                biomarker_tables.biomarker_exclusions(biomarker),
                biomarker_tables.biomarker_notes(biomarker),
            ),
        )
        for index, biomarker in enumerate(results.biomarkers.values(), start=1)
        if biomarker.series or biomarker.n or biomarker.excluded
    )


def lung_parts(results: Results, *, origin: str) -> tuple[BiomarkerPart, ...]:
    """Return the parts of the series of vital capacity."""
    level = confidence(results)
    kinds = Counter(capacity.concept for capacity in results.vital_capacity.values())
    return tuple(
        BiomarkerPart(
            heading=vital_capacity_tables.capacity_heading(
                capacity, several_methods=kinds[capacity.concept] > 1
            ),
            picture=picture_capacity(capacity, index=index, origin=origin),
            tables=present(
                vital_capacity_tables.change_table(capacity, level=level),
                vital_capacity_tables.visit_table(capacity, level=level),
                vital_capacity_tables.period_table(capacity, level=level),
                vital_capacity_tables.capacity_exclusions(capacity),
                vital_capacity_tables.capacity_notes(capacity),
            ),
        )
        for index, capacity in enumerate(results.vital_capacity.values(), start=1)
    )


def present(*tables: Table | None) -> tuple[Table, ...]:
    """Return the tables that there are."""
    return tuple(table for table in tables if table is not None)


def sections(results: Results, *, biomarkers: bool) -> tuple[Section, ...]:
    """Return the sections that this study's report has, in their order."""
    return tuple(
        Section(id=name, heading=heading)
        for name, heading, there in (
            ("subjects", "Who was studied", True),
            ("progression", "Progression", True),
            ("survival", "Survival", results.survival is not None),
            ("exposure", "Exposure", results.exposure is not None),
            ("biomarkers", "Biomarkers", biomarkers),
            ("lung", "Lung function", bool(results.vital_capacity)),
            (
                "safety",
                "Safety",
                bool(results.safety.overview or results.safety.labs or results.safety.sources),
            ),
            ("arms", "By arm", results.arms is not None),
            ("quality", "Data quality", True),
            ("listings", "Subject by subject", results.cohort.n > MOST_PANELS),
            ("reading", "How to read this", True),
            ("methods", "Methods and policies", True),
        )
        if there
    )


def progression_context(results: Results) -> dict[str, object]:
    """Return what the section on progression shows."""
    return {
        "panels": plot_panels(results),
        "spaghetti": picture_spaghetti(results),
        "period_picture": picture_periods(results),
        "slope_tables": present(
            progression_tables.period_table(results),
            progression_tables.contrast_table(results),
            progression_tables.exclusion_table(results),
        ),
        "subject_slopes": progression_tables.slope_table(results),
        "model": progression_tables.model_table(results),
        "score_notes": progression_tables.score_note_table(results),
        "natural": natural_history if results.progression.concept == natural_history.CONCEPT else None,
    }


def staging_context(results: Results) -> dict[str, object]:
    """Return what the subsection on domains and stages shows; nothing without items."""
    staging = results.staging
    if staging is None:
        return {"subject_stages": None}
    tables = []
    for name, system in staging.systems.items():
        tables += [
            staging_tables.stage_table(name, system),
            staging_tables.time_table(name, system, results),
            staging_tables.step_table(name, system),
        ]
    return {
        "domains": staging_tables.domain_table(staging),
        "stages": picture_stages(results),
        "stage_times": staging_tables.time_sentence(results),
        "stage_tables": present(*tables),
        "subject_stages": staging_tables.subject_stage_table(staging),
        "staging_notes": staging_tables.staging_note_table(staging),
    }


def survival_context(results: Results) -> dict[str, object]:
    """Return what the section on survival shows; nothing for results that have none."""
    survival, composite = results.survival, results.composite
    if survival is None:
        return {}
    return {
        "survival_origin": TIME_ORIGINS.get(survival.origin, survival.origin),
        "survival_event": survival_tables.EVENTS.get(survival.event, survival.event),
        "survival_picture": picture_survival(results),
        "survival_tables": present(
            survival_tables.survival_table(results),
            survival_tables.time_table(results),
            survival_tables.ending_table(results),
            survival_tables.exclusion_table("Subjects without a time at risk", survival.excluded),
        ),
        # One group has nobody to be compared with.
        "composite": composite if len(results.cohort.arms) > 1 else None,
        "composite_tables": present(
            composite_tables.rank_table(composite),
            composite_tables.subject_rank_table(composite) if results.cohort.n <= MOST_PANELS else None,
            survival_tables.exclusion_table("Subjects without a rank", composite.excluded),
        )
        if composite is not None
        else (),
    }


def exposure_context(results: Results) -> dict[str, object]:
    """Return what the section on exposure shows; nothing in a study without treatment."""
    exposure = results.exposure
    if exposure is None:
        return {}
    return {
        "swimmer": picture_swimmer(results),
        "undrawn": undrawn(results),
        "exposure_tables": present(
            exposure_tables.exposure_table(exposure) if exposure.subjects else None,
            exposure_tables.adherence_table(exposure) if exposure.subjects else None,
            exposure_tables.day_list(exposure),
            course_tables.course_table(exposure),
            course_tables.interruption_table(exposure),
        ),
        "exposure_lines": tuple(
            filter(None, (course_tables.course_sentence(exposure), course_tables.duration_sentence(exposure)))
        ),
        "excluded_line": exposure_tables.excluded_line(exposure),
        "concomitant": exposure_tables.concomitant_sentence(exposure.concomitant, results.safety.sources),
        "concomitant_table": exposure_tables.concomitant_table(exposure.concomitant),
        "discharge": exposure_tables.discharge_sentence(exposure),
    }


def arm_context(results: Results) -> dict[str, object]:
    """Return what the section on arms shows; nothing with fewer than two."""
    arms = results.arms
    if arms is None:
        return {}
    return {
        "arm_tables": present(
            arm_tables.summary_table(arms),
            arm_tables.baseline_by_arm_table(arms),
            arm_tables.slope_table(results, arms),
            arm_tables.difference_table(results, arms),
            arm_tables.model_by_arm_table(arms),
        ),
        "arm_overview": arm_tables.overview_by_arm_table(arms),
    }


def safety_context(results: Results) -> dict[str, object]:
    """Return what the sections on safety and data quality show."""
    return {
        "events_unread": safety_tables.events_unread(results),
        "overview": safety_tables.overview_table(results),
        "undecided": safety_tables.undecided_line(results),
        "dose_limiting": safety_tables.dose_limiting_line(results),
        "terms": safety_tables.term_table(results),
        "special_interest": reaction_tables.special_table(results),
        "labs": safety_tables.lab_table(results),
        "lab_tables": present(lab_tables.emergent_table(results), lab_tables.abnormality_table(results)),
        "liver": liver_tables.liver_sentences(results),
        "liver_cases": liver_tables.liver_table(results),
        "vital_tables": present(
            vital_sign_tables.vital_table(results), vital_sign_tables.vital_list(results)
        ),
        "vital_coverage": vital_sign_tables.vital_coverage(results),
        "reactions": reaction_tables.reaction_sentences(results),
        "reaction_candidates": reaction_tables.reaction_table(results),
        "safety_notes": safety_tables.note_table(results),
        "coverage": safety_tables.coverage_table(results),
        "event_coverage": safety_tables.coverage_lines(results, laboratory=False),
        "lab_coverage": safety_tables.coverage_lines(results, laboratory=True),
        "snapshot": quality_tables.snapshot_line(results),
        "accounting": quality_tables.accounting_table(results),
        "issues": quality_tables.issue_table(results),
        "unmapped": quality_tables.unmapped_table(results),
    }


def render(results: Results) -> str:
    """Return the report's HTML: the same text for equal results."""
    origin = TIME_ORIGINS.get(results.progression.time_origin, plain(results.progression.time_origin))
    with drawing_style():
        biomarkers = biomarker_parts(results, origin=origin)
        context = {
            "results": results,
            "style": Markup(packaged("style.css")),  # noqa: S704 - a file of this package
            "sections": sections(results, biomarkers=bool(biomarkers)),
            "key_figures": key_figures(results),
            "baseline": study_tables.baseline_table(results),
            "arms": study_tables.arm_line(results),
            "subject_list": study_tables.subject_table(results),
            "biomarkers": biomarkers,
            "lung": lung_parts(results, origin=origin),
            "origin": origin,
            "many": results.cohort.n > MOST_PANELS,
            "level": confidence(results),
            "cautions": conclusions(results),
            "policies": quality_tables.policy_table(results),
            "versions": quality_tables.version_table(results),
            **progression_context(results),
            **staging_context(results),
            **survival_context(results),
            **exposure_context(results),
            **safety_context(results),
            **arm_context(results),
        }
    template = environment().get_template("template.html")
    # The glossary explains what the rest of the page says, so the rest comes first.
    rest = template.render(context, glossary=())
    return template.render(context, glossary=used_abbreviations(rest))


def write_html(results: Results, path: Path) -> Path:
    """Write the report to `path` as one file that needs no network, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(results).encode("utf-8"))
    return path
