"""Each subject's vital capacity by day, with slopes by period."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.baseline_values import baseline_of_subject, choose_values, side
from fhiradapter.analysis.measured_series import ConceptRows, Kind, by_kind, count_left_out
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.period_slopes import subject_slopes
from fhiradapter.analysis.periods import lies_in, months_from_origin
from fhiradapter.analysis.population import of_subject, places
from fhiradapter.analysis.together import together
from fhiradapter.analysis.usable_measurements import COMPARATOR, split_off, usable_measurements
from fhiradapter.analysis.visits import BoolArray, VisitPlan, assign_visits, plan_visits
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

CONCEPTS = ("svc_percent_predicted", "svc_litres", "fvc_percent_predicted", "fvc_litres")
NOT_POSITIVE, AFTER_DEATH = "not_positive", "after_death"


@dataclass(frozen=True, eq=False)
class CapacityRows:
    """What is derived of some subjects' measurements of one concept.

    measured: columns of its values are `subject_id`, `row_id`, `on`, `months` from the time origin, `value`,
        `change` from baseline, `relative` (percent of baseline), `is_baseline`, `is_compared`; `visit`,
        `chosen` and `dated` as from `assign_visits`; `rows`, the measurements of the day.
    lines: as from `subject_slopes`, by method and unit, of the subjects with a value.
    """

    measured: ConceptRows
    lines: dict[Kind, pd.DataFrame]


def vital_capacity_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> dict[str, CapacityRows]:
    """Derive each concept's values and slopes of some whole subjects; timeline: theirs."""
    concepts = study.vital_capacity.concepts
    if concepts is None:
        measured = set(cohort.codes("measurements", "concept").words.to_pylist())
        concepts = [concept for concept in CONCEPTS if concept in measured]
    if not concepts:
        return {}
    visits = plan_visits(study, timeline, configured=study.vital_capacity.visits)
    derived = {}
    for concept in dict.fromkeys(concepts):
        rows, left_out = usable_measurements(
            cohort, study, [concept], timeline.index, columns=["unit", "comparator"]
        )
        rows, left_out = split_off(rows, left_out, rows["comparator"].notna(), COMPARATOR)
        rows, left_out = split_off(rows, left_out, rows["value"].le(0), NOT_POSITIVE)
        late = rows["on"].gt(of_subject(timeline["death_latest_on"], rows["subject_id"]))
        rows, left_out = split_off(rows, left_out, late, AFTER_DEATH)
        kinds = by_kind(rows, by_matrix=False)
        values = {kind: _values(mine, visits, study, timeline) for kind, mine in kinds}
        lines = {
            kind: _slopes(mine, timeline.loc[_have(mine, timeline)], study) for kind, mine in values.items()
        }
        derived[concept] = CapacityRows(ConceptRows(values, count_left_out(left_out)), lines)
    return derived


def lines_of_everyone(
    lines: pd.DataFrame | None, values: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> pd.DataFrame:
    """Return the lines with those of the subjects without a value, in the order of the timeline.

    values: those that the lines were fitted to; timeline: that of all subjects.
    """
    own = _have(values, timeline)
    if lines is not None and own.all():
        return lines
    nothing = pd.DataFrame({"subject_id": [], "on": pd.to_datetime([]), "months": [], "value": []})
    unknown = _slopes(nothing, timeline.loc[~own], study)
    return unknown if lines is None else together([lines, unknown])


def _values(rows: pd.DataFrame, visits: VisitPlan, study: Study, timeline: pd.DataFrame) -> pd.DataFrame:
    values = _one_a_day(rows, timeline, study)
    chosen = choose_values(values, timeline, study, compare=study.vital_capacity.compare)
    before = baseline_of_subject(values, chosen.is_baseline)
    months, _ = months_from_origin(values, timeline, study)
    found = assign_visits(
        values["subject_id"], values["on"], visits, timeline, until_baseline=chosen.until_baseline
    )
    return values.assign(
        change=values["value"] - before,
        relative=100 * (values["value"] / before - 1),
        months=months,
        is_baseline=chosen.is_baseline,
        is_compared=chosen.is_compared,
        **found,
    ).drop(columns=["precision"])


def _one_a_day(rows: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one value per subject, local day and side of the first dose, in order of time."""
    rows = rows.rename(columns={"measured_precision": "precision"})
    # The day of the first dose may have a value before it and one after.
    rows = rows.assign(after=side(rows, timeline).gt(0))
    key = ["subject_id", "on", "after"]
    highest = study.vital_capacity.same_day == "highest"
    rows = in_order(rows, ["subject_id", "on", "after", "at", "row_id"])
    groups = rows.groupby(key, sort=False)["value"]
    rows = rows.assign(rows=groups.transform("size"))
    if highest:
        best = rows.loc[rows["value"].eq(groups.transform("max"))].drop_duplicates(key)
    else:
        best = rows.assign(value=groups.transform("mean")).drop_duplicates(key)
    columns = ["subject_id", "row_id", "on", "at", "precision", "value", "rows"]
    return best[columns].reset_index(drop=True)


def _have(values: pd.DataFrame, timeline: pd.DataFrame) -> BoolArray:
    """Return whether each subject of the timeline has a value, (n,)."""
    have = np.zeros(len(timeline), dtype=bool)
    have[places(values["subject_id"], timeline.index)] = True
    return have


def _slopes(values: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return each subject's slope in each period; the maximum that a score has at onset is not assumed."""
    policy = study.progression
    if policy.before_start == "onset":
        policy = policy.model_copy(update={"before_start": "first_score"})
    study = study.model_copy(update={"progression": policy})
    lines = subject_slopes(values.assign(**lies_in(values, timeline, study)), timeline, study)
    reason = lines["reason"].str.replace("score", "value", regex=False)
    return lines.assign(reason=reason.astype(object).where(reason.notna(), None))
