"""Which laboratory values meet one branch of the grading criteria."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fhiradapter.definitions.criteria import IN_UNITS, Branch, Comparison

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint8]
Positions = NDArray[np.intp]

# Laboratories report up to six digits and a float keeps fifteen; at twelve, 3 x 0.1 is 0.3.
SIGNIFICANT_DIGITS = 12

# What a comparison may lack, as bits.
UNIT, RANGE, BASELINE = np.uint8(1), np.uint8(2), np.uint8(4)

# A fall of at least 25 % is a value of at most 75 %.
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_RELATIONS = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}


@dataclass(frozen=True)
class Values:
    """Laboratory values with their limits and baselines, all (n,) and in the value's own unit.

    `unit_codes` points into `factors` and `criteria_units`: the factor from a unit to the one that the
    criteria speak, NaN and None where the unit is not known. `above` is 1 where the baseline is above the
    range, 0 where it is not, -1 where that is not known. NaN is a missing number.
    """

    value: Floats
    low: Floats
    high: Floats
    baseline: Floats
    above: NDArray[np.int8]
    unit_codes: Positions
    factors: Floats
    criteria_units: tuple[str | None, ...]


def significant(values: Floats, *, digits: int = SIGNIFICANT_DIGITS) -> Floats:
    """Values rounded to a number of significant digits; 0, NaN and infinities stay.

    >>> significant(np.array([0.1 * 3, 1234.5]), digits=3).tolist()
    [0.3, 1230.0]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (digits - 1 - np.floor(np.log10(np.abs(values))))
        rounded = np.round(values * scale) / scale
    return np.where(np.isfinite(rounded), rounded, values)


def evaluate(branch: Branch, values: Values, *, strict: bool) -> tuple[Flags, Bits, Flags]:
    """Where a branch holds, what is lacking to know that, and which values it is meant for; each (n,).

    A branch with numbers in mg/dL is not meant for a value in mmol/L, nor one for a high baseline for a
    subject whose baseline was normal. `strict` leaves the baseline open where it is not known; otherwise a
    subject without one counts as a subject whose baseline was within the range.
    """
    applies, missing = _condition(branch.condition, values, strict=strict)
    if branch.unit:
        meant = np.array([unit in (None, branch.unit) for unit in values.criteria_units])
        applies = applies & meant[values.unit_codes]
    holds, refuted = applies.copy(), ~applies
    for comparison in branch.comparisons:
        met, lacks = compare(comparison, values)
        refuted |= ~met & (lacks == 0)
        missing |= lacks
        holds &= met
    missing[refuted] = 0
    return holds & (missing == 0), missing, applies


def compare(comparison: Comparison, values: Values) -> tuple[Flags, Bits]:
    """Where value and bound stand in the relation (False if unknown), and what is lacking to know; (n,) each.

    Both sides are rounded to SIGNIFICANT_DIGITS significant digits before they are compared.
    """
    basis, sign, number = comparison.basis, comparison.sign, comparison.number
    missing = np.zeros(len(values.value), np.uint8)
    factor = values.factors[values.unit_codes] if basis in IN_UNITS else 1.0
    if basis in IN_UNITS:
        missing[np.isnan(factor)] |= UNIT
    if basis == "absolute":
        bound = np.full(len(values.value), number)
    elif basis in ("uln_multiple", "above_uln"):
        missing[np.isnan(values.high)] |= RANGE
        bound = number * values.high if basis == "uln_multiple" else values.high * factor + number
    elif basis == "lln_multiple":
        missing[np.isnan(values.low)] |= RANGE
        bound = number * values.low
    else:
        missing[np.isnan(values.baseline)] |= BASELINE
        if basis == "baseline_multiple":
            bound = number * values.baseline
        elif basis == "above_baseline":
            bound = values.baseline * factor + number
        else:  # a fall in percent
            bound, sign = values.baseline * (100 - number) / 100, _TURNED[sign]
    met: Flags = _RELATIONS[sign](significant(values.value * factor), significant(bound))
    return met & (missing == 0), missing


def _condition(condition: str, values: Values, *, strict: bool) -> tuple[Flags, Bits]:
    """Where a condition on the baseline may hold, and where that is not known."""
    n = len(values.value)
    if not condition:
        return np.ones(n, bool), np.zeros(n, np.uint8)
    if condition == "baseline_below_range":
        known = (values.above == 1) | ~(np.isnan(values.baseline) | np.isnan(values.low))
        holds = (values.above != 1) & (significant(values.baseline) < significant(values.low))
    else:
        known = values.above >= 0
        holds = (values.above == 1) == (condition == "baseline_above_range")
    if strict:
        return holds | ~known, np.where(known, np.uint8(0), BASELINE)
    without = condition == "baseline_not_above_range"
    return np.where(known, holds, without), np.zeros(n, np.uint8)
