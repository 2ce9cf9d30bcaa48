"""The King's stage of an ALSFRS-R assessment."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.assessments import HIGHEST_ANSWER, NAMES

DEATH = "5"
STAGES = ("0", "1", "2", "3", "4A", "4B", DEATH)
LEVELS = (0, 1, 2, 3, 4, 4, 5)  # the two forms of stage 4: neither is later than the other

# All that an assessment can show, from best to worst: no point lost; points lost, but in none of the three
# regions; regions involved; nutritional failure; respiratory failure.
_NORMAL, _NO_REGION, _ONE_REGION, _NUTRITION, _BREATHING = 0, 1, 2, 5, 6
_STAGE_OF = np.array([0, -1, 1, 2, 3, 4, 5])

NoRegion = Literal["stage_1", "none"]


def kings_stages(
    items: pd.DataFrame, gastrostomy: "pd.Series[bool]", *, no_region: NoRegion = "stage_1"
) -> pd.Series:
    """Return the King's stage of each assessment, estimated from the ALSFRS-R.

    items: (n, 12), columns as of `twelve_items`, 0-4 points or NaN. gastrostomy: (n,) boolean, missing where
    it is not known: form 5b of item 5 is asked of those who have one.

    * 4B: dyspnea = 0 or respiratory insufficiency < 4; also with a gastrostomy.
    * 4A: gastrostomy.
    * 1, 2, 3: the number of involved regions: bulbar (any of speech, salivation, swallowing < 4), upper limb
      (handwriting < 4 or cutting < 4), lower limb (walking < 4).
    * 0: all 12 items at 4, that is a total of 48: no involvement. The published system begins with stage 1.
    * No region involved and a total below 48 (dressing, turning, stairs, dyspnea or orthopnea alone): the
      policy `no_region` makes it stage 1 or leaves it without a stage.

    Source: Balendra et al., Amyotroph Lateral Scler Frontotemporal Degener 2014;15:279-284, doi
    10.3109/21678421.2014.897357. Stage 5 is death, which no assessment shows.

    Fewer points, and a gastrostomy, never lower the stage. So with unknown items the stage lies between that
    with 4 points and that with 0 points for each of them, and likewise for an unknown gastrostomy; where the
    two are equal it is known, otherwise it is missing. Returns an ordered categorical with the categories
    STAGES.

    >>> items = pd.DataFrame(4.0, index=range(4), columns=NAMES)
    >>> items.loc[1, ["speech", "walking"]] = 3.0
    >>> items.loc[3, ["speech", "dyspnea"]] = [None, 0.0]  # 4B, whatever the answer on speech
    >>> tube = pd.Series([False, False, True, False], dtype="boolean")
    >>> kings_stages(items, tube).tolist()
    ['0', '2', '4A', '4B']
    """
    best, worst = _bounds(items, gastrostomy)
    if no_region == "stage_1":
        best, worst = (np.where(found == _NO_REGION, _ONE_REGION, found) for found in (best, worst))
    codes: npt.NDArray[np.int64] = np.where(best == worst, _STAGE_OF[best], -1)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(STAGES), ordered=True), index=items.index)


def without_region(items: pd.DataFrame, gastrostomy: "pd.Series[bool]") -> npt.NDArray[np.bool_]:
    """Return True where the stage rests on the policy `no_region`: points are lost, but in no region, (n,).

    With unknown items: where they may be, and no more than one region can be involved.

    >>> items = pd.DataFrame([[4.0] * 8 + [3.0] + [4.0] * 3], columns=NAMES)  # stairs
    >>> without_region(items, pd.Series([False], dtype="boolean")).tolist()
    [True]
    """
    best, worst = _bounds(items, gastrostomy)
    rests: npt.NDArray[np.bool_] = ((best == _NO_REGION) | (worst == _NO_REGION)) & (worst <= _ONE_REGION)
    return rests


def _bounds(
    items: pd.DataFrame, gastrostomy: "pd.Series[bool]"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the best and the worst that fits each assessment."""
    tube = gastrostomy.astype("boolean")
    best = _shown(items[list(NAMES)].fillna(HIGHEST_ANSWER), tube.fillna(False).to_numpy(dtype=bool))
    worst = _shown(items[list(NAMES)].fillna(0), tube.fillna(True).to_numpy(dtype=bool))
    return best, worst


def _shown(items: pd.DataFrame, gastrostomy: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    below = items.lt(HIGHEST_ANSWER)
    bulbar = below["speech"] | below["salivation"] | below["swallowing"]
    upper = below["handwriting"] | below["cutting"]
    regions = np.sum(
        [region.to_numpy(dtype=np.int64) for region in (bulbar, upper, below["walking"])], axis=0
    )
    breathing = items["dyspnea"].eq(0) | below["respiratory"]
    return np.select(
        [breathing.to_numpy(dtype=bool), gastrostomy, regions > 0, below.to_numpy().any(axis=1)],
        [_BREATHING, _NUTRITION, _ONE_REGION - 1 + regions, _NO_REGION],
        default=_NORMAL,
    )
