"""Tables of biomarkers as ratios to baseline."""

from fhiradapter.reports.formats import count, interval, number, percent, plain, significant
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, sentence
from fhiradapter.results import Biomarker


def biomarker_table(biomarker: Biomarker, *, level: str) -> Table:
    """Return the ratio to baseline of one biomarker."""
    unit = f", {plain(biomarker.unit)}" if biomarker.unit else ""
    return Table(
        caption="Ratio to baseline",
        columns=(
            *words("Matrix", "Compared"),
            *numbers(
                "n",
                f"Geometric mean at baseline{unit}",
                "Geometric mean ratio",
                f"{level} interval",
                "Change",
            ),
        ),
        rows=(
            (
                label(plain(biomarker.matrix)) if biomarker.matrix else "not stated",
                label(plain(biomarker.compared)),
                count(biomarker.n),
                significant(biomarker.baseline_geometric_mean),
                number(biomarker.gmr),
                interval(biomarker.ci95),
                percent(biomarker.percent_change),
            ),
        ),
    )


def biomarker_notes(biomarker: Biomarker) -> Table | None:
    """Return how many values were left out or flagged."""
    if not biomarker.notes:
        return None
    return Table(
        caption="Flags and exclusions of values",
        columns=(*words("What was seen"), *numbers("Values")),
        rows=tuple((label(plain(name)), count(number_of)) for name, number_of in biomarker.notes.items()),
    )


def biomarker_exclusions(biomarker: Biomarker) -> Table | None:
    """Return the subjects that a ratio does without."""
    if not biomarker.excluded:
        return None
    return Table(
        caption="Subjects without a ratio",
        columns=words("Subject", "Reason"),
        rows=tuple(
            (plain(exclusion.subject_id), sentence(plain(exclusion.reason)))
            for exclusion in biomarker.excluded[:LONGEST]
        ),
        remarks=remainder(biomarker.excluded, "exclusion"),
    )
