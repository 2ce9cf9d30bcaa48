"""From FHIR to a traceable trial cohort, progression slopes and safety tables.

>>> import fhiradapter as fa
>>> cohort = fa.build_cohort({"resourceType": "Patient", "id": "p1", "gender": "female"})
>>> cohort.accounting["Patient"].mapped
1
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhiradapter.analysing import analyse
    from fhiradapter.api import MappedResource, build_cohort, map_resource, map_to_folder
    from fhiradapter.cohort.cohort import Cohort
    from fhiradapter.reports.registry import write_report
    from fhiradapter.results import Results
    from fhiradapter.runs import run_study
    from fhiradapter.settings import Study, load_study
    from fhiradapter.store.directory import read_cohort

# Import strings: pandas and Arrow take a second to load, and the command line must answer at once.
_HOMES = {
    "Cohort": "fhiradapter.cohort.cohort",
    "MappedResource": "fhiradapter.api",
    "Results": "fhiradapter.results",
    "Study": "fhiradapter.settings",
    "analyse": "fhiradapter.analysing",
    "build_cohort": "fhiradapter.api",
    "load_study": "fhiradapter.settings",
    "map_resource": "fhiradapter.api",
    "map_to_folder": "fhiradapter.api",
    "read_cohort": "fhiradapter.store.directory",
    "run_study": "fhiradapter.runs",
    "write_report": "fhiradapter.reports.registry",
}

__all__ = [
    "Cohort",
    "MappedResource",
    "Results",
    "Study",
    "analyse",
    "build_cohort",
    "load_study",
    "map_resource",
    "map_to_folder",
    "read_cohort",
    "run_study",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fhiradapter' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
