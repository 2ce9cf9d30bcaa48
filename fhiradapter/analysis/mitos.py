"""The Milano-Torino (MiToS) stage of an ALSFRS-R assessment."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.assessments import HIGHEST_ANSWER, NAMES

DEATH = "5"
STAGES = ("0", "1", "2", "3", "4", DEATH)
LEVELS = (0, 1, 2, 3, 4, 5)


def mitos_stages(items: pd.DataFrame) -> pd.Series:
    """Return the MiToS stage of each assessment: how many of four domains have lost their independence.

    items: (n, 12), columns as of `twelve_items`, 0-4 points or NaN. A domain is lost when

    * movement: walking <= 1 or dressing <= 1,
    * swallowing: swallowing <= 1,
    * communicating: speech <= 1 and handwriting <= 1,
    * breathing: dyspnea <= 1 or respiratory insufficiency <= 2.

    Source: Chio et al., J Neurol Neurosurg Psychiatry 2015;86:38-44, table 1, doi 10.1136/jnnp-2013-306589.
    Stage 5 is death, which no assessment shows.

    Fewer points never lower the stage. So with unknown items the stage lies between that with 4 points and
    that with 0 points for each of them; where the two are equal it is known, otherwise it is missing.
    Returns an ordered categorical with the categories STAGES.

    >>> items = pd.DataFrame(4.0, index=range(4), columns=NAMES)
    >>> items.loc[1, "speech"] = 1.0  # handwriting is 4: no loss of communication
    >>> items.loc[2, ["walking", "dressing"]] = [0.0, None]  # lost, whatever the answer on dressing
    >>> items.loc[3, "swallowing"] = None
    >>> mitos_stages(items).tolist()
    ['0', '0', '1', nan]
    """
    least = _lost_domains(items[list(NAMES)].fillna(HIGHEST_ANSWER))
    most = _lost_domains(items[list(NAMES)].fillna(0))
    codes: npt.NDArray[np.int64] = np.where(least == most, least, -1)
    stages = pd.Categorical.from_codes(codes, pd.Index(STAGES), ordered=True)
    return pd.Series(stages, index=items.index)


def _lost_domains(items: pd.DataFrame) -> npt.NDArray[np.int64]:
    movement = items["walking"].le(1) | items["dressing"].le(1)
    swallowing = items["swallowing"].le(1)
    communicating = items["speech"].le(1) & items["handwriting"].le(1)
    breathing = items["dyspnea"].le(1) | items["respiratory"].le(2)
    lost = [domain.to_numpy(dtype=np.int64) for domain in (movement, swallowing, communicating, breathing)]
    count: npt.NDArray[np.int64] = np.sum(lost, axis=0, dtype=np.int64)
    return count
