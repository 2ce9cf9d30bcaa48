"""The laboratory criteria of one CTCAE version, as data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fhiradapter.definitions.spellings import changes_prefix, normal_form

DIRECTIONS = ("low", "high")
# Worst first: the order in which grades are tried. "not_gradable" marks values that the text leaves open.
GRADES = {"not_gradable": None, "4": 4, "3": 3, "2": 2, "1": 1}
IN_UNITS = frozenset({"absolute", "above_uln", "above_baseline"})
ON_BASELINE = frozenset({"baseline_multiple", "above_baseline", "baseline_decrease_percent"})
CLINICAL = "clinical"  # the text has words only, which no laboratory value can meet
BASES = IN_UNITS | ON_BASELINE | {"uln_multiple", "lln_multiple", CLINICAL}
COMPARISONS = frozenset({">", ">=", "<", "<="})
CONDITIONS = frozenset({"", "baseline_above_range", "baseline_not_above_range", "baseline_below_range"})
POLICIES = ("worst", "best")
COUNTS_UNDER = frozenset({"both", *POLICIES})

# 10*9.{cells}/L is 10*9/L: what UCUM puts into braces has no effect on the number.
_ANNOTATION = re.compile(r"\.?\{[^}]*\}")


class Comparison(NamedTuple):
    """One bound: the value stands in this relation to a number, alone or with a limit or the baseline."""

    basis: str
    sign: str
    number: float
    unit: str

    def __str__(self) -> str:
        number = f"{self.number:.12g}"
        return {
            "absolute": f"{self.sign} {number} {self.unit}",
            "uln_multiple": f"{self.sign} {number} x ULN",
            "lln_multiple": f"{self.sign} {number} x LLN",
            "baseline_multiple": f"{self.sign} {number} x baseline",
            "above_uln": f"{self.sign} ULN + {number} {self.unit}",
            "above_baseline": f"{self.sign} baseline + {number} {self.unit}",
            "baseline_decrease_percent": f"fall from baseline {self.sign} {number} %",
        }[self.basis]


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to reach a grade: all its comparisons hold, and its condition on the baseline does."""

    grade: int | None
    name: str
    comparisons: tuple[Comparison, ...]
    condition: str
    counts_under: str
    qualifier: str
    line: int

    @property
    def needs_baseline(self) -> bool:
        """Whether nothing can be said without the baseline's value."""
        return self.condition == "baseline_below_range" or any(
            c.basis in ON_BASELINE for c in self.comparisons
        )

    @property
    def unit(self) -> str:
        """The unit of the branch's numbers; empty where it only compares with limits and baseline."""
        return next((c.unit for c in self.comparisons if c.basis in IN_UNITS), "")

    def __str__(self) -> str:
        what = " and ".join(str(comparison) for comparison in self.comparisons)
        return what + (f" if {self.condition.replace('_', ' ')}" if self.condition else "")


@dataclass(frozen=True, slots=True)
class TermCriteria:
    """The branches of one term, worst grade first."""

    term: str
    direction: str
    quantity: str
    branches: tuple[Branch, ...]


class UnitFactor(NamedTuple):
    """criteria value = factor x value, in criteria_unit."""

    criteria_unit: str
    factor: float


@dataclass(frozen=True)
class GradingTable:
    """One version of the criteria, with the units that its numbers may be compared in."""

    version: str
    terms: Mapping[tuple[str, str], TermCriteria]
    all_terms: frozenset[tuple[str, str]]
    concepts: Mapping[str, tuple[tuple[str, str], ...]]
    units: Mapping[str, Mapping[str, UnitFactor]]

    def unit_factor(self, quantity: str, unit: str | None) -> UnitFactor | None:
        """Find how a value in this spelling of a unit comes to a unit of the criteria; None when unknown.

        Annotations do not count ({cells}/uL is /uL) and an empty unit is UCUM's 1. Letters may be in the
        other case unless that makes another prefix of it.
        """
        accepted = self.units.get(quantity, {})
        spelling = unit_spelling(unit or "")
        if spelling in accepted:
            return accepted[spelling]
        for known, factor in accepted.items():
            if known.casefold() == spelling.casefold() and not changes_prefix(spelling, known):
                return factor
        return None


def term_key(term: str, direction: str) -> tuple[str, str]:
    """Write a term as it is compared: without regard to case and outer blanks."""
    return " ".join(term.split()).casefold(), direction.strip().casefold()


def unit_spelling(unit: str) -> str:
    """Write a unit as the tables compare it: no annotation, UCUM's 1 where it is empty."""
    return _ANNOTATION.sub("", normal_form(unit)) or "1"
