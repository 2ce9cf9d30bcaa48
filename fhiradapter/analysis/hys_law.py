"""Hy's law: a raised aminotransferase, and bilirubin raised with it or soon after."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.criteria import significant
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.numbered_measurements import SERIES, names_of, number_measurements
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.usable_measurements import usable_measurements
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import HysLaw, LiverCase
from fhiradapter.settings import Study

AMINOTRANSFERASES, BILIRUBIN, ALKALINE_PHOSPHATASE = ("alt", "ast"), "bilirubin_total", "alp"
# Multiples of the upper limit of normal from which a value counts.
THRESHOLDS = {"alt": 3.0, "ast": 3.0, BILIRUBIN: 2.0, ALKALINE_PHOSPHATASE: 2.0}
WITHIN_DAYS = 14

RULE = (
    "ALT or AST of at least 3 x ULN after the first dose, and total bilirubin of at least 2 x ULN on the "
    "same day or within 14 days after it. Alkaline phosphatase of 2 x ULN or more between the two days "
    "speaks for cholestasis and is noted; other causes are not looked for: these are numbers for review, "
    "not a diagnosis."
)
NO_AMINOTRANSFERASE = "no ALT or AST after the first dose"
NO_BILIRUBIN = "no total bilirubin after the first dose"
NO_LIMIT = "no value with an upper limit of normal to hold it against"


def derive_hys_law(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> HysLaw | None:
    """Return the subjects who meet the numbers of Hy's law after their first dose.

    None in a study without treatment. `timeline` is indexed by subject_id with `first_dose_on`,
    `first_dose_at` and `first_dose_precision`; a value of the first dose's day without a time of day is taken
    as before it. The rule: ALT or AST >= 3 x ULN, and total bilirubin >= 2 x ULN 0 to 14 local days later,
    both sides at 12 significant digits. Each subject is one of

    * a case, told by the first such pair, with the highest alkaline phosphatase between its days;
    * undecided: an aminotransferase is raised, and no bilirubin that can be judged lies within 14 days after;
    * not assessable: no aminotransferase, or no bilirubin, with a known upper limit of normal (ULN > 0);
    * assessable and no case.

    A value with a comparator counts when all values that it allows lie on one side of the limit.

    Sources: US Food and Drug Administration, Guidance for Industry, Drug-Induced Liver Injury: Premarketing
    Clinical Evaluation, July 2009, which names bilirubin above 2 x ULN without initial cholestasis; the
    numbers here take the limit itself as reached.
    """
    rows = over_parts(hys_law_rows, cohort, study, timeline)
    return None if rows is None else summarise_hys_law(rows, timeline)


@dataclass(frozen=True)
class HysLawRows:
    """What is derived of some subjects.

    cases: one row per case, with the fields of `LiverCase` but `days_between`. undecided: `subject_id`.
    measured: how many subjects have an ALT or AST after the first dose. not_assessable: how many of these, by
    reason. values_not_judged: values of which it cannot be said whether they are raised.
    """

    cases: pd.DataFrame
    undecided: pd.DataFrame
    measured: int
    not_assessable: Counter[str]
    values_not_judged: int


def hys_law_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> HysLawRows | None:
    """Hold the values of some whole subjects against the numbers."""
    if study.treatment is None:
        return None
    columns = ["range_high", "comparator"]
    rows, _ = usable_measurements(cohort, study, THRESHOLDS, timeline.index, columns=columns)
    rows = in_order(rows, SERIES)
    return rows_of_liver(number_measurements(rows, timeline, columns=columns), rows["row_id"], timeline.index)


def rows_of_liver(measured: pd.DataFrame, row_ids: pd.Series, subjects: pd.Index) -> HysLawRows:
    """Hold measurements against the numbers; others than those of the liver are left aside.

    `measured` is as from `number_measurements`, with `range_high` and `comparator`; its numbers are places in
    `row_ids` and `subjects`.
    """
    measured = measured.loc[measured["side"].gt(0) & measured["concept"].isin(THRESHOLDS)]
    measured = measured.assign(multiple=_multiples(measured))
    measured = measured.assign(raised=_raised(measured))
    enzymes = measured["concept"].isin(AMINOTRANSFERASES)
    bilirubin = measured["concept"].eq(BILIRUBIN)
    known, raised = measured["raised"].notna(), measured["raised"].eq(True).fillna(False)
    high = _in_order(measured.loc[enzymes & raised], row_ids)
    later = measured.loc[bilirubin & known].sort_values("on", kind="stable")
    pairs = _followed(high, _in_order(measured.loc[bilirubin & raised], row_ids))
    cases = pairs.drop_duplicates("person").sort_values("person")
    judged = _followed(high, later)["row"]
    open_rows = high.loc[~high["row"].isin(judged) & ~high["person"].isin(cases["person"])]
    undecided = np.sort(open_rows["person"].unique())
    with_enzyme, with_bilirubin, both_judged = (
        _has(measured.loc[chosen], subjects) for chosen in (enzymes, bilirubin, enzymes & known)
    )
    both_judged &= _has(later, subjects)
    settled = np.isin(np.arange(len(subjects)), [*cases["person"], *undecided])
    open_ = with_enzyme & ~settled
    return HysLawRows(
        cases=_cases(cases, measured.loc[measured["concept"].eq(ALKALINE_PHOSPHATASE)], row_ids, subjects),
        undecided=pd.DataFrame({"subject_id": subjects[undecided]}),
        measured=int(with_enzyme.sum()),
        not_assessable=Counter(
            {
                NO_BILIRUBIN: int((open_ & ~with_bilirubin).sum()),
                NO_LIMIT: int((open_ & with_bilirubin & ~both_judged).sum()),
            }
        ),
        values_not_judged=int(((enzymes | bilirubin) & ~known).sum()),
    )


def summarise_hys_law(rows: HysLawRows, timeline: pd.DataFrame) -> HysLaw:
    """Return the cases among the treated subjects of the timeline, and how many could be judged."""
    treated = int(timeline["first_dose_on"].notna().sum())
    reasons = {NO_AMINOTRANSFERASE: treated - rows.measured, **rows.not_assessable}
    return HysLaw(
        rule=RULE,
        subjects=treated,
        assessable=treated - len(rows.undecided) - sum(reasons.values()),
        cases=_liver_cases(rows.cases),
        undecided=tuple(rows.undecided["subject_id"]),
        values_not_judged=rows.values_not_judged,
        not_assessable={reason: count for reason, count in reasons.items() if count},
    )


def _multiples(rows: pd.DataFrame) -> pd.Series:
    """Return each value as a multiple of its upper limit of normal; NaN without a limit above 0."""
    return rows["value"] / rows["range_high"].where(rows["range_high"].gt(0))


def _raised(rows: pd.DataFrame) -> pd.Series:
    """Return whether each value reaches its threshold, missing where that cannot be said."""
    bound = rows["concept"].map(THRESHOLDS).to_numpy(dtype=float) * rows["range_high"].to_numpy(dtype=float)
    value = significant(rows["value"].to_numpy(dtype=float))
    reached = pd.Series(value >= significant(bound), index=rows.index).astype("boolean")
    below = rows["comparator"].isin(["<", "<="])
    above = rows["comparator"].isin([">", ">="])
    # "< 120" says nothing about a threshold of 100; when the threshold is 120, it is not reached.
    under = pd.Series(value < significant(bound), index=rows.index)
    at_limit = rows["comparator"].eq("<") & ~pd.Series(value > significant(bound), index=rows.index)
    decided = rows["comparator"].isna() | (above & reached) | (below & under) | at_limit
    return reached.mask(at_limit, False).mask(~decided | rows["multiple"].isna())


def _in_order(part: pd.DataFrame, row_ids: pd.Series) -> pd.DataFrame:
    """Return measurements in order of time, those of one moment by name."""
    named = part.assign(row_id=names_of(row_ids, part["row"]))
    return named.sort_values(["on", "at", "row_id"], kind="stable")


def _has(rows: pd.DataFrame, subjects: pd.Index) -> npt.NDArray[np.bool_]:
    """Return for each subject whether there is a row."""
    has = np.zeros(len(subjects), dtype=bool)
    has[rows["person"].to_numpy()] = True
    return has


def _followed(high: pd.DataFrame, bilirubin: pd.DataFrame) -> pd.DataFrame:
    """Return the raised aminotransferases that a bilirubin follows within the days, with the first such."""
    right = bilirubin[["person", "on", "row", "multiple"]].rename(
        columns={"on": "bilirubin_on", "row": "bilirubin_row", "multiple": "bilirubin_uln"}
    )
    found = pd.merge_asof(
        high[["person", "concept", "on", "row", "multiple"]],
        right.assign(on=right["bilirubin_on"]),
        on="on",
        by="person",
        direction="forward",
        tolerance=pd.Timedelta(days=WITHIN_DAYS),
    )
    return found.loc[found["bilirubin_row"].notna()].astype({"bilirubin_row": np.int64})


def _cases(
    cases: pd.DataFrame, alkaline: pd.DataFrame, row_ids: pd.Series, subjects: pd.Index
) -> pd.DataFrame:
    """Return the cases with the highest alkaline phosphatase between their days."""
    phosphatase = alkaline[["person", "on", "row", "multiple", "raised"]].rename(columns={"on": "alp_on"})
    beside = cases[["person", "on", "bilirubin_on"]].merge(phosphatase, on="person")
    beside = beside.loc[beside["alp_on"].between(beside["on"], beside["bilirubin_on"])]
    beside = beside.loc[beside["multiple"].notna()].sort_values("multiple", kind="stable")
    beside = beside.drop_duplicates("person", keep="last").set_index("person").reindex(cases["person"])
    return pd.DataFrame(
        {
            "subject_id": subjects[cases["person"].to_numpy(dtype=np.int64)],
            "aminotransferase": cases["concept"].astype(object).array,
            "aminotransferase_row_id": names_of(row_ids, cases["row"]),
            "aminotransferase_on": cases["on"].array,
            "aminotransferase_uln": cases["multiple"].array,
            "bilirubin_row_id": names_of(row_ids, cases["bilirubin_row"]),
            "bilirubin_on": cases["bilirubin_on"].array,
            "bilirubin_uln": cases["bilirubin_uln"].array,
            "alkaline_phosphatase_row_id": names_of(row_ids, beside["row"].fillna(-1).astype(np.int64)),
            "alkaline_phosphatase_uln": beside["multiple"].astype(float).array,
            "cholestatic": beside["raised"].astype("boolean").array,
        }
    )


def _liver_cases(cases: pd.DataFrame) -> tuple[LiverCase, ...]:
    """Return the cases as results."""
    first, second = (
        cast("list[date | None]", as_dates(cases[name])) for name in ("aminotransferase_on", "bilirubin_on")
    )
    days = (cases["bilirubin_on"] - cases["aminotransferase_on"]).dt.days
    return tuple(
        LiverCase(
            subject_id=subject,
            aminotransferase=concept,
            aminotransferase_row_id=row_id,
            aminotransferase_on=on,
            aminotransferase_uln=multiple,
            bilirubin_row_id=bilirubin_row,
            bilirubin_on=later,
            bilirubin_uln=bilirubin,
            days_between=int(between),
            alkaline_phosphatase_row_id=alp_row,
            alkaline_phosphatase_uln=alp,
            cholestatic=None if pd.isna(high) else bool(high),
        )
        for (
            subject,
            concept,
            row_id,
            on,
            multiple,
            bilirubin_row,
            later,
            bilirubin,
            between,
            alp_row,
            alp,
            high,
        ) in zip(
            cases["subject_id"],
            cases["aminotransferase"],
            cases["aminotransferase_row_id"],
            first,
            cases["aminotransferase_uln"].tolist(),
            cases["bilirubin_row_id"],
            second,
            cases["bilirubin_uln"].tolist(),
            days,
            as_words(cases["alkaline_phosphatase_row_id"]),
            as_numbers(cases["alkaline_phosphatase_uln"]),
            cases["cholestatic"],
            strict=True,
        )
    )
