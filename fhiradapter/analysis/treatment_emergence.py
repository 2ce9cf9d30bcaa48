"""Whether an adverse event is treatment-emergent."""

import numpy as np
import pandas as pd

NO_TREATMENT = "no treatment start"
ENDED_BEFORE = "ended before the first dose"
START_MISSING = "start missing: taken as treatment-emergent"
PARTIAL_START = "start not given to the day: placed as early as possible, not before the first dose"
BEFORE = "started before the first dose"
WORSENED = "started before the first dose, worsened after it"
AFTER_WINDOW = "started after the window"


def treatment_emergent(
    events: pd.DataFrame,
    *,
    first_dose: pd.Series,
    last_dose: pd.Series,
    window_days: int | None,
    worsened: "pd.Series[bool] | None" = None,
) -> pd.DataFrame:
    """Return `treatment_emergent` (nullable boolean) and `flag` (why, None for a plain yes) of each event.

    `events` has n rows and the columns `start_earliest`, `start_latest` and `end_latest` (local days that the
    dates as given can mean; NaT where there is none) and may have `before_first_dose` (True where the time of
    day shows that an event of the first dose's day came before it). `first_dose`, `last_dose` (n,) are local
    days, NaT for a subject without treatment; `worsened` (n,) is True where an event that started earlier got
    worse on treatment: another record of the same subject and term is treatment-emergent, has a start, and
    has a higher grade. All share one index. Rules, the first that holds:

    1. no treatment start: missing
    2. the end, at its latest, lies before the first dose: no
    3. start missing: yes, the cautious way
    4. the start is placed at its earliest possible day, but not before the first dose if it could be on or
       after it; from the first dose to the last dose + `window_days` (None: for ever), both included: yes
    5. started earlier, but worsened on treatment: yes; everything else: no

    >>> days = pd.to_datetime(pd.Series(["2024-01-01", "2024-02-01"]))
    >>> events = pd.DataFrame({"start_earliest": days, "start_latest": days + pd.Timedelta(days=30),
    ...                        "end_latest": pd.NaT})
    >>> first = pd.to_datetime(pd.Series(["2024-01-15", "2024-04-01"]))
    >>> treatment_emergent(events, first_dose=first, last_dose=first, window_days=30)[
    ...     "treatment_emergent"].tolist()
    [True, False]
    """
    earliest, latest = events["start_earliest"], events["start_latest"]
    before_known = events.get("before_first_dose", pd.Series(False, index=events.index)).astype(bool)
    could_be_on = latest.ge(first_dose) & ~before_known
    placed = earliest.mask(earliest.lt(first_dose) & could_be_on, first_dose)
    on_treatment = placed.ge(first_dose) & ~before_known
    in_window = pd.Series(True, index=events.index)
    if window_days is not None:
        in_window = placed.le(last_dose + pd.Timedelta(days=window_days))
    got_worse = pd.Series(False, index=events.index) if worsened is None else worsened.astype(bool)
    rules = [
        (first_dose.isna(), pd.NA, NO_TREATMENT),
        (events["end_latest"].lt(first_dose), False, ENDED_BEFORE),
        (earliest.isna(), True, START_MISSING),
        (on_treatment & in_window & earliest.ne(latest), True, PARTIAL_START),
        (on_treatment & in_window, True, None),
        (on_treatment, False, AFTER_WINDOW),
        (got_worse, True, WORSENED),
    ]
    conditions = [holds.to_numpy(dtype=bool) for holds, _, _ in rules]
    which = np.select(conditions, range(len(rules)), len(rules))
    verdicts = [verdict for _, verdict, _ in rules] + [False]
    flags = [flag for _, _, flag in rules] + [BEFORE]
    return pd.DataFrame(
        {
            "treatment_emergent": pd.array([verdicts[rule] for rule in which], dtype="boolean"),
            "flag": pd.Series([flags[rule] for rule in which], index=events.index, dtype=object),
        },
        index=events.index,
    )
