"""The four domains of the ALSFRS-R."""

import pandas as pd

# Cedarbaum et al. 1999, doi 10.1016/s0022-510x(99)00210-5: items 1-3, 4-6, 7-9 and 10-12, each sum 0-12.
DOMAINS = {
    "bulbar": ("speech", "salivation", "swallowing"),
    "fine_motor": ("handwriting", "cutting", "dressing"),
    "gross_motor": ("turning", "walking", "stairs"),
    "respiratory": ("dyspnea", "orthopnea", "respiratory"),
}


def domain_scores(items: pd.DataFrame) -> pd.DataFrame:
    """Return the sum of each domain's three items, 0-12 points, for each assessment.

    items: (n, 12), columns as of `twelve_items`, 0-4 points or NaN. The result has the columns of DOMAINS; a
    domain with an unknown item is NaN, whatever the others say.

    >>> from fhiradapter.analysis.assessments import NAMES
    >>> items = pd.DataFrame([[4.0, 3.0, 2.0, *[4.0] * 6, 1.0, None, 4.0]], columns=NAMES)
    >>> domain_scores(items).values.tolist()
    [[9.0, 12.0, 12.0, nan]]
    """
    return pd.DataFrame(
        {
            domain: items[list(names)].sum(axis=1, min_count=len(names)).astype("float64")
            for domain, names in DOMAINS.items()
        },
        index=items.index,
    )
