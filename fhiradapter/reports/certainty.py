"""The confidence level that all intervals of a report share."""

from fhiradapter.reports.formats import brief
from fhiradapter.results import Results


def certainty(results: Results) -> float:
    """Return the confidence level of all intervals as a proportion: 0.95 unless the study file differs."""
    level = results.policies.get("statistics.confidence")
    return float(level) if isinstance(level, float) else 0.95


def confidence(results: Results) -> str:
    """Return the confidence level of all intervals in percent."""
    return f"{brief(100 * certainty(results))}\N{NO-BREAK SPACE}%"
