"""CTCAE grades of laboratory values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fhiradapter.analysis.criteria import (
    BASELINE,
    RANGE,
    UNIT,
    Flags,
    Floats,
    Positions,
    Values,
    evaluate,
    significant,
)
from fhiradapter.definitions.criteria import POLICIES, GradingTable, TermCriteria, term_key
from fhiradapter.definitions.grading import read_grading
from fhiradapter.errors import UsageError

NUMBERS = ("value", "range_low", "range_high", "baseline_value")
COLUMNS = ("term", "direction", "unit", "baseline_above_range", *NUMBERS)
MISSING_BASELINE = ("use_range", "not_gradable")

REASONS = ("unknown_term", "no_numeric_criterion", "no_value", "unknown_unit", "no_range", "no_baseline")
# Where several things are missing, the first of these is the reason.
_REASON_OF_BIT = ((UNIT, "unknown_unit"), (RANGE, "no_range"), (BASELINE, "no_baseline"))


def grade(
    frame: pd.DataFrame,
    *,
    version: str = "5.0",
    policy: Literal["worst", "best"] = "worst",
    criteria: GradingTable | None = None,
    missing_baseline: Literal["use_range", "not_gradable"] = "use_range",
) -> "pd.Series[Any]":
    """Grade each laboratory value by CTCAE: Int64, 0 to 4, <NA> where it cannot be graded.

    `frame` has n rows and the columns `term` (as CTCAE writes it), `direction` ("low" or "high"), `value`,
    `unit` (UCUM; limits and baseline are in it too), `range_low` (LLN), `range_high` (ULN), `baseline_value`
    and `baseline_above_range` (True, False, or null, which is worked out from `baseline_value` and
    `range_high`). The result has the index of `frame`. `criteria` replaces the shipped table of `version`.

    Grades are tried from 4 down. A value and the number it is compared with are both rounded to 12
    significant digits, so that floating point decides nothing. Without LLN or ULN the absolute numbers still
    apply; a value that they do not reach is <NA>, never 0. `policy` says how criteria that hang on symptoms
    count: "worst" takes the symptoms as present, "best" as absent. `missing_baseline="use_range"` grades by
    the reference range alone where the text also has a way by the baseline; "not_gradable" gives <NA> where a
    baseline could matter.

    The grade comes from laboratory values alone and is not an investigator's. Source: US National Cancer
    Institute, Common Terminology Criteria for Adverse Events 4.03, 5.0 and 6.0, as in `mappings/grading`.
    Raises UsageError for an unknown version or policy and for a missing column.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({
    ...     "term": "Anemia", "direction": "low", "value": [9.9, 11.0, 13.0], "unit": "g/dL",
    ...     "range_low": [12.0, None, 12.0], "range_high": 16.0,
    ...     "baseline_value": None, "baseline_above_range": None,
    ... })
    >>> grade(frame, version="5.0").tolist()
    [2, <NA>, 0]
    """
    outcome, _ = _decide(
        frame, version=version, policy=policy, criteria=criteria, missing_baseline=missing_baseline
    )
    return pd.Series(outcome.grades(), index=frame.index, name="grade")


def explain(
    frame: pd.DataFrame,
    *,
    version: str = "5.0",
    policy: Literal["worst", "best"] = "worst",
    criteria: GradingTable | None = None,
    missing_baseline: Literal["use_range", "not_gradable"] = "use_range",
) -> pd.DataFrame:
    """Grade as `grade` does, with what led to each grade; a row for each row of `frame`, under its index.

    Columns: `grade`; `reason` (why it is <NA>, one of REASONS); `criterion` (the bound that was met, such as
    "> 3 x ULN"); `qualifier` (the clinical circumstance in the text of that bound, which no value shows);
    `at_least` (True: a worse grade is possible, but its limit is missing); `ctcae_version`; `policy`;
    `label` ("lab-derived").
    """
    outcome, table = _decide(
        frame, version=version, policy=policy, criteria=criteria, missing_baseline=missing_baseline
    )
    return outcome.frame(frame.index, version=table.version, policy=policy)


def _decide(
    frame: pd.DataFrame, *, version: str, policy: str, criteria: GradingTable | None, missing_baseline: str
) -> "tuple[_Outcome, GradingTable]":
    """Decide every row of the frame, and say by which table."""
    _check(frame, policy=policy, missing_baseline=missing_baseline)
    table = criteria if criteria is not None else read_grading(version)
    values, unit_names = _values(frame)
    outcome = _Outcome.of(len(frame))
    for key, at in _by_term(frame):
        term = table.terms.get(key)
        if term is None:
            outcome.refuse(at, "no_numeric_criterion" if key in table.all_terms else "unknown_term")
        else:
            part = _of_term(values, at, unit_names, table, term)
            strict = missing_baseline == "not_gradable"
            _grade_term(part, term, policy=policy, strict=strict, at=at, outcome=outcome)
    return outcome, table


@dataclass
class _Outcome:
    """What has been decided of each row of the frame; codes point into the labels, -1 is none."""

    grade: NDArray[np.int8]
    reason: NDArray[np.int8]
    met: NDArray[np.int16]
    at_least: Flags
    met_labels: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, n: int) -> "_Outcome":
        return cls(
            np.full(n, -1, np.int8), np.full(n, -1, np.int8), np.full(n, -1, np.int16), np.zeros(n, bool)
        )

    def refuse(self, at: Positions, reason: str) -> None:
        self.reason[at] = REASONS.index(reason)

    def accept(self, at: Positions, grade: int, label: tuple[str, str]) -> None:
        if label not in self.met_labels:
            self.met_labels.append(label)
        self.grade[at] = grade
        self.met[at] = self.met_labels.index(label)

    def grades(self) -> pd.arrays.IntegerArray:
        none = self.grade < 0
        return pd.arrays.IntegerArray(np.where(none, 0, self.grade).astype(np.int64), none)

    def frame(self, index: "pd.Index[Any]", *, version: str, policy: str) -> pd.DataFrame:
        columns: dict[str, Any] = {
            "grade": self.grades(),
            "reason": _labelled(self.reason, REASONS),
        }
        for place, name in enumerate(("criterion", "qualifier")):
            columns[name] = _labelled(self.met, [label[place] for label in self.met_labels])
        columns["at_least"] = self.at_least
        for name, word in (("ctcae_version", version), ("policy", policy), ("label", "lab-derived")):
            columns[name] = _labelled(np.zeros(len(self.grade), np.int8), [word])
        return pd.DataFrame(columns, index=index)


def _labelled(codes: NDArray[Any], labels: "list[str] | tuple[str, ...]") -> "pd.Categorical[Any]":
    """Codes as a categorical column: -1 and the empty label are null, equal labels are one category."""
    categories = list(dict.fromkeys(label for label in labels if label))
    positions = np.array([categories.index(label) if label else -1 for label in labels] + [-1])
    return pd.Categorical.from_codes(positions[codes], categories=pd.Index(categories, dtype=object))


def _check(frame: pd.DataFrame, *, policy: str, missing_baseline: str) -> None:
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise UsageError(f"grading needs the column {', '.join(missing)}")
    chosen = (("policy", policy, POLICIES), ("missing_baseline", missing_baseline, MISSING_BASELINE))
    for name, given, known in chosen:
        if given not in known:
            raise UsageError(f"{name} {given!r} is none of {', '.join(known)}")


def _values(frame: pd.DataFrame) -> tuple[Values, list[str]]:
    """Read the frame into arrays, and the spellings of its units, the last of which stands for null."""
    numbers: dict[str, Floats] = {}
    for column in NUMBERS:
        try:
            read = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise UsageError(f"column {column} holds something that is not a number") from error
        numbers[column] = np.where(np.isfinite(read), read, np.nan)
    # An upper limit or a baseline of 0 has no multiples; a lower limit of 0 is real (0-40 U/L).
    high, baseline = (
        np.where(numbers[name] > 0, numbers[name], np.nan) for name in ("range_high", "baseline_value")
    )
    derived = np.where(np.isnan(high) | np.isnan(baseline), -1, significant(baseline) > significant(high))
    try:
        flags = frame["baseline_above_range"].astype("boolean")
    except (TypeError, ValueError) as error:
        raise UsageError(
            "column baseline_above_range has something else than True, False and null"
        ) from error
    given = flags.to_numpy(dtype=np.float64, na_value=np.nan)
    unit_codes, unit_names = _words(frame["unit"])
    values = Values(
        value=numbers["value"],
        low=numbers["range_low"],
        high=high,
        baseline=baseline,
        above=np.where(np.isnan(given), derived, given).astype(np.int8),
        unit_codes=unit_codes,
        factors=np.empty(0),
        criteria_units=(),
    )
    return values, unit_names


def _by_term(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, str], Positions]]:
    """Each term and direction with the positions of its rows."""
    terms, term_names = _words(frame["term"])
    directions, direction_names = _words(frame["direction"])
    pairs = terms * len(direction_names) + directions
    order = np.argsort(pairs, kind="stable")
    _, begins = np.unique(pairs[order], return_index=True)
    for at in np.split(order, begins[1:]):
        if len(at):
            yield term_key(term_names[terms[at[0]]], direction_names[directions[at[0]]]), at


def _words(column: pd.Series) -> tuple[Positions, list[str]]:
    """Each value's place among the words of the column; what is missing is the empty word."""
    codes, words = pd.factorize(column)
    return np.where(codes < 0, len(words), codes), [*map(str, words), ""]


def _of_term(
    values: Values, at: Positions, unit_names: list[str], table: GradingTable, term: TermCriteria
) -> Values:
    """Pick the values of one term, with the factors that its units have."""
    found = [table.unit_factor(term.quantity, name) for name in unit_names]
    return Values(
        value=values.value[at],
        low=values.low[at],
        high=values.high[at],
        baseline=values.baseline[at],
        above=values.above[at],
        unit_codes=values.unit_codes[at],
        factors=np.array([unit.factor if unit else np.nan for unit in found]),
        criteria_units=tuple(unit.criteria_unit if unit else None for unit in found),
    )


def _grade_term(
    values: Values, term: TermCriteria, *, policy: str, strict: bool, at: Positions, outcome: _Outcome
) -> None:
    """Decide the rows of one term, trying its grades from the worst down."""
    undecided = ~np.isnan(values.value)
    outcome.refuse(at[~undecided], "no_value")
    missing_above = np.zeros(len(at), np.uint8)
    # Without its unit a value may be far past a number that it seems not to reach.
    blocking = UNIT | BASELINE if strict else UNIT
    counted = [branch for branch in term.branches if branch.counts_under in ("both", policy)]
    for number, branches in groupby(counted, lambda branch: branch.grade):
        missing = np.zeros(len(at), np.uint8)
        by_range = np.zeros(len(at), bool)  # the grade has a way that needs no baseline
        for branch in branches:
            holds, lacks, applies = evaluate(branch, values, strict=strict)
            missing |= lacks
            by_range |= applies & (not branch.needs_baseline)
            accepted = undecided & holds & ((missing_above & blocking) == 0)
            if number is None:
                outcome.refuse(at[accepted], "no_numeric_criterion")
            else:
                outcome.accept(at[accepted], number, (str(branch), branch.qualifier))
                outcome.at_least[at[accepted]] = missing_above[accepted] > 0
            undecided &= ~accepted
        if not strict:
            missing[by_range] &= ~BASELINE
        missing_above |= missing
    outcome.grade[at[undecided & (missing_above == 0)]] = 0
    for bit, reason in reversed(_REASON_OF_BIT):
        outcome.refuse(at[undecided & ((missing_above & bit) > 0)], reason)
