"""The HTML report as one self-contained file."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from fhiradapter.reports import (
    biomarker_tables,
    exposure_tables,
    natural_history,
    progression_tables,
    quality_tables,
    safety_tables,
    study_tables,
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
from fhiradapter.reports.swimmer_plot import picture_swimmer, undrawn
from fhiradapter.reports.table import Table
from fhiradapter.reports.trajectory_plot import MOST_PANELS, plot_panels
from fhiradapter.reports.wording import TIME_ORIGINS, inner, label, plural, sentence
from fhiradapter.results import Results

ABSENT = Markup('<abbr class="missing" title="not available">\N{EN DASH}</abbr>')


@dataclass(frozen=True, kw_only=True)
class BiomarkerPart:
    """One biomarker's part of the report."""

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
    return tuple(
        BiomarkerPart(
            heading=label(biomarker.concept)
            + (f" in {inner(plain(biomarker.matrix))}" if biomarker.matrix else ""),
            picture=picture_biomarker(biomarker, index=index, origin=origin),
            tables=present(
                biomarker_tables.biomarker_table(biomarker, level=level),
                biomarker_tables.biomarker_exclusions(biomarker),
                biomarker_tables.biomarker_notes(biomarker),
            ),
        )
        for index, biomarker in enumerate(results.biomarkers.values(), start=1)
        if biomarker.series or biomarker.n or biomarker.excluded
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
            ("exposure", "Exposure", results.exposure is not None),
            ("biomarkers", "Biomarkers", biomarkers),
            (
                "safety",
                "Safety",
                bool(results.safety.overview or results.safety.labs or results.safety.sources),
            ),
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
        ),
        "excluded_line": exposure_tables.excluded_line(exposure),
        "concomitant": exposure_tables.concomitant_sentence(exposure.concomitant, results.safety.sources),
        "concomitant_table": exposure_tables.concomitant_table(exposure.concomitant),
        "discharge": exposure_tables.discharge_sentence(exposure),
    }


def safety_context(results: Results) -> dict[str, object]:
    """Return what the sections on safety and data quality show."""
    return {
        "events_unread": safety_tables.events_unread(results),
        "overview": safety_tables.overview_table(results),
        "undecided": safety_tables.undecided_line(results),
        "terms": safety_tables.term_table(results),
        "labs": safety_tables.lab_table(results),
        "safety_notes": safety_tables.note_table(results),
        "coverage": safety_tables.coverage_table(results),
        "event_coverage": safety_tables.coverage_lines(results, laboratory=False),
        "lab_coverage": safety_tables.coverage_lines(results, laboratory=True),
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
            "origin": origin,
            "many": results.cohort.n > MOST_PANELS,
            "level": confidence(results),
            "cautions": conclusions(results),
            "policies": quality_tables.policy_table(results),
            "versions": quality_tables.version_table(results),
            **progression_context(results),
            **exposure_context(results),
            **safety_context(results),
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
