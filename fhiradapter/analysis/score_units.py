"""The unit of the study's score, as it was sent."""

from collections import Counter

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study


def score_units(cohort: Cohort, study: Study) -> Counter[str]:
    """Count the units of the rows of `progression.concept`.

    >>> rows = [{"concept": "alsfrs_r_total", "unit": unit} for unit in ("{score}", "{score}", None)]
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> score_units(Cohort.from_rows({"measurements": rows}), study)
    Counter({'{score}': 2})
    """
    units = cohort.select("measurements", ["unit"], concepts=[study.progression.concept])["unit"]
    return Counter({str(unit): int(count) for unit, count in units.value_counts().items()})


def usual_unit(units: Counter[str]) -> str | None:
    """Return the most frequent unit, of equals the first by alphabet; None where there is none.

    >>> usual_unit(Counter({"%": 2, "L": 2})), usual_unit(Counter())
    ('%', None)
    """
    return min(units, key=lambda unit: (-units[unit], unit), default=None)
