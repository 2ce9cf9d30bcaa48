"""The domains and the stages that each assessment shows."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.assessments import gather_assessments, twelve_items
from fhiradapter.analysis.domains import domain_scores
from fhiradapter.analysis.kings import kings_stages, without_region
from fhiradapter.analysis.marks import marks
from fhiradapter.analysis.mitos import mitos_stages
from fhiradapter.analysis.score_items import BOTH_CUTTING, CONFLICTING, MISSING
from fhiradapter.settings import Study

OUT_OF_RANGE = "items_out_of_range"
NO_REGION = "no_region_involved"
SAME_DAY = "same_day"


def stage_assessments(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one row per assessment with domains, stages, flags and why a stage is missing.

    rows: items as for `gather_assessments`. The result has its heads, the columns of DOMAINS, `mitos` and
    `kings` (categoricals), `form` (of item 5), `why` ("" where nothing is missing) and `flags` (tuples).
    """
    policy = study.progression
    assessments = gather_assessments(rows)
    items = twelve_items(assessments, both_cutting=policy.both_cutting_items)
    unanswered = np.isnan(assessments.lowest)
    missing = unanswered[:, 2:].any(axis=1) | unanswered[:, :2].all(axis=1)
    both = assessments.both_cutting
    conflicting = assessments.conflicting.any(axis=1)
    astray = (assessments.lowest != np.clip(np.round(assessments.lowest), 0, 4)) & ~unanswered
    no_region = without_region(items, items["gastrostomy"])
    unknown = {
        CONFLICTING: conflicting,
        BOTH_CUTTING: both,
        OUT_OF_RANGE: astray.any(axis=1),
        MISSING: missing,
        NO_REGION: no_region,
    }
    heads = assessments.heads
    day = heads.duplicated(["subject_id", "on"], keep=False)
    held = {"provisional": heads["provisional"], **unknown, SAME_DAY: day}
    return pd.concat([heads, domain_scores(items)], axis=1).assign(
        mitos=mitos_stages(items),
        kings=kings_stages(items, items["gastrostomy"], no_region=policy.kings_no_region),
        form=items["form"],
        why=np.select(list(unknown.values()), list(unknown), default=""),
        flags=marks(held, heads.index),
    )
