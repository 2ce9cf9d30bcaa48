"""Checks: whether a study file and all that it names can be used, before anything is read."""

from pathlib import Path
from typing import NamedTuple

from fhiradapter.api import sources_of
from fhiradapter.definitions.catalogue import Catalogue, load_catalogue
from fhiradapter.definitions.checker import check_definitions
from fhiradapter.definitions.grading import check_grading
from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.files import FileSource, is_url, list_files
from fhiradapter.settings import Study


class Finding(NamedTuple):
    """Something that is wrong, and where."""

    where: str
    message: str


def check_shipped(site: Path | None = None) -> list[Finding]:
    """Return what is wrong with the files of mappings/, and with a site overlay."""
    found = [*check_definitions(site=site), *check_grading()]
    return [Finding(f"{one.file}:{one.line}", one.message) for one in found]


def check_study(study: Study) -> list[Finding]:
    """Return what is wrong with a study: its definitions, the concepts that it names, its paths."""
    found: list[Finding] = []
    for source in study.sources:
        site = study.folder / source.site if source.site else None
        problems = check_shipped(site)
        found += problems
        if not problems:
            found += _concepts(study, load_catalogue(site=site))
    try:
        readable = study.model_copy(update={"sources": [one for one in study.sources if one.kind == "files"]})
        for settings, one in sources_of(readable) if readable.sources or not study.sources else ():
            # What lies elsewhere is found by Spark, when it runs.
            here = [path for path in one.paths if not is_url(path)] if isinstance(one, FileSource) else []
            elsewhere = isinstance(one, FileSource) and len(here) < len(one.paths)
            if not elsewhere and not list_files(tuple(here)):
                found.append(Finding(f"[[sources]] {settings.name}", "no file to read is there"))
    except FhirAdapterError as error:
        found.append(Finding("[[sources]]", str(error)))
    return found


def check_names(study: Study) -> list[Finding]:
    """Return the concepts and kinds that a study names and that no definition has."""
    if not study.sources:
        return _concepts(study, load_catalogue())
    found: dict[Finding, None] = {}
    for source in study.sources:
        site = study.folder / source.site if source.site else None
        found |= dict.fromkeys(_concepts(study, load_catalogue(site=site)))
    return list(found)


def _concepts(study: Study, catalogue: Catalogue) -> list[Finding]:
    named = {
        "progression.concept": [study.progression.concept],
        "biomarkers.concepts": study.biomarkers.concepts,
        "vital_capacity.concepts": study.vital_capacity.concepts or [],
        "survival.event_concepts": study.survival.event_concepts,
    }
    if study.treatment is not None:
        named["treatment.concept"] = [study.treatment.concept]
        named["treatment.comparators"] = study.treatment.comparators
    found = [
        Finding(f"[{place.partition('.')[0]}]", f"{name!r} is no concept of concepts.csv or of the site file")
        for place, names in named.items()
        for name in names
        if name not in catalogue.concepts
    ]
    kinds = {concept.kind for concept in catalogue.concepts.values()}
    found += [
        Finding("[treatment]", f"excluded_kinds: no concept has the kind {kind!r}")
        for kind in (study.treatment.excluded_kinds if study.treatment else [])
        if kind not in kinds
    ]
    return found
