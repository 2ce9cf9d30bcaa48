"""Hy's law: a raised aminotransferase, and bilirubin raised with it or soon after."""

import math
from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.criteria import significant
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.numbered_measurements import names_of, number_measurements
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
    if study.treatment is None:
        return None
    rows, _ = usable_measurements(
        cohort, study, THRESHOLDS, timeline.index, columns=["range_high", "comparator"]
    )
    treated = timeline.loc[timeline["first_dose_on"].notna()]
    measured = number_measurements(rows, treated, columns=["range_high", "comparator"])
    measured = measured.loc[measured["side"].gt(0) & measured["person"].ge(0)]
    measured = measured.assign(multiple=_multiples(measured))
    measured = measured.assign(raised=_raised(measured))
    enzymes = measured["concept"].isin(AMINOTRANSFERASES)
    bilirubin = measured["concept"].eq(BILIRUBIN)
    known, raised = measured["raised"].notna(), measured["raised"].eq(True).fillna(False)
    high = _in_order(measured.loc[enzymes & raised], rows)
    later = measured.loc[bilirubin & known].sort_values("on", kind="stable")
    pairs = _followed(high, _in_order(measured.loc[bilirubin & raised], rows))
    cases = pairs.drop_duplicates("person").sort_values("person")
    judged = _followed(high, later)["row"]
    open_rows = high.loc[~high["row"].isin(judged) & ~high["person"].isin(cases["person"])]
    undecided = np.sort(open_rows["person"].unique())
    settled = set(cases["person"]) | set(undecided)
    reasons = {
        NO_AMINOTRANSFERASE: ~_has(measured.loc[enzymes], treated),
        NO_BILIRUBIN: ~_has(measured.loc[bilirubin], treated),
        NO_LIMIT: ~(_has(measured.loc[enzymes & known], treated) & _has(later, treated)),
    }
    first = np.select(list(reasons.values()), list(reasons), "")
    first[list(settled)] = ""
    names, counts = np.unique(first[first != ""], return_counts=True)
    missing = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return HysLaw(
        rule=RULE,
        subjects=len(treated),
        assessable=len(treated) - len(undecided) - int(counts.sum()),
        cases=_cases(cases, measured.loc[measured["concept"].eq(ALKALINE_PHOSPHATASE)], rows, treated),
        undecided=tuple(treated.index[undecided]),
        values_not_judged=int(((enzymes | bilirubin) & ~known).sum()),
        not_assessable={reason: missing[reason] for reason in reasons if reason in missing},
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


def _in_order(part: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return measurements in order of time, those of one moment by name."""
    named = part.assign(row_id=names_of(rows["row_id"], part["row"]))
    return named.sort_values(["on", "at", "row_id"], kind="stable")


def _has(rows: pd.DataFrame, treated: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return for each treated subject whether there is a row."""
    has = np.zeros(len(treated), dtype=bool)
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
    cases: pd.DataFrame, alkaline: pd.DataFrame, rows: pd.DataFrame, treated: pd.DataFrame
) -> tuple[LiverCase, ...]:
    """Return the cases with the highest alkaline phosphatase between their days."""
    phosphatase = alkaline[["person", "on", "row", "multiple", "raised"]].rename(columns={"on": "alp_on"})
    beside = cases[["person", "on", "bilirubin_on"]].merge(phosphatase, on="person")
    beside = beside.loc[beside["alp_on"].between(beside["on"], beside["bilirubin_on"])]
    beside = beside.loc[beside["multiple"].notna()].sort_values("multiple", kind="stable")
    beside = beside.drop_duplicates("person", keep="last").set_index("person").reindex(cases["person"])
    alp_rows = names_of(rows["row_id"], beside["row"].fillna(-1).astype(np.int64))
    return tuple(
        LiverCase(
            subject_id=subject,
            aminotransferase=concept,
            aminotransferase_row_id=row_id,
            aminotransferase_on=on,
            aminotransferase_uln=multiple,
            bilirubin_row_id=second,
            bilirubin_on=later,
            bilirubin_uln=bilirubin,
            days_between=int(days),
            alkaline_phosphatase_row_id=None if pd.isna(alp_row) else alp_row,
            alkaline_phosphatase_uln=None if math.isnan(alp) else alp,
            cholestatic=None if pd.isna(high) else bool(high),
        )
        for subject, concept, row_id, on, multiple, second, later, bilirubin, days, alp_row, alp, high in zip(
            names_of(treated.index.to_series(), cases["person"]),
            cases["concept"],
            names_of(rows["row_id"], cases["row"]),
            cast("list[date | None]", as_dates(cases["on"])),
            cases["multiple"].tolist(),
            names_of(rows["row_id"], cases["bilirubin_row"]),
            cast("list[date | None]", as_dates(cases["bilirubin_on"])),
            cases["bilirubin_uln"].tolist(),
            (cases["bilirubin_on"] - cases["on"]).dt.days,
            alp_rows,
            beside["multiple"].astype(float).tolist(),
            beside["raised"],
            strict=True,
        )
    )
