"""Tables of function and survival ranked together."""

from fhiradapter.reports.formats import MISSING, count, number, p_value, plain
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural
from fhiradapter.results import Composite


def rank_table(composite: Composite) -> Table | None:
    """Return the ranks of the arms; nothing where there is one group."""
    if not composite.arms:
        return None
    test = composite.test
    return Table(
        caption="Ranks of function and survival by arm",
        columns=(*words("Arm"), *numbers("n", "Deaths", "Mean rank", "Median rank")),
        rows=tuple(
            (
                label(plain(arm)),
                count(own.n),
                count(own.deaths),
                number(own.mean_rank, decimals=1),
                number(own.median_rank, decimals=1),
            )
            for arm, own in composite.arms.items()
        ),
        remarks=(
            f"Ranks go from 1 to {composite.n:,}; higher is better. Without a difference every arm's mean "
            f"is near {number((composite.n + 1) / 2, decimals=1)}.",
            *((f"{plain(test.method)}: p {p_value(test.p)}, two-sided.",) if test else ()),
        ),
    )


def subject_rank_table(composite: Composite) -> Table | None:
    """Return each subject's comparisons, best first."""
    rows = sorted(composite.by_subject_rows, key=lambda row: (-row.rank, row.subject_id))
    if not rows:
        return None
    return Table(
        caption="Comparisons of each subject with all others",
        columns=(
            *words("Subject", "Arm"),
            *numbers("Died, months", "Last score, months", "Change", "Won minus lost", "Rank"),
        ),
        rows=tuple(
            (
                plain(row.subject_id),
                label(plain(row.arm)) if row.arm else MISSING,
                number(row.death_months, decimals=1),
                number(row.score_months, decimals=1),
                number(row.change, decimals=1),
                number(row.sum, decimals=0),
                number(row.rank, decimals=1),
            )
            for row in rows[:LONGEST]
        ),
        remarks=(
            *remainder(rows, "subject"),
            f"Change is from baseline to the last score; a pair may be compared earlier. "
            f"{plural(len(rows), 'subject')} ranked.",
        ),
    )
