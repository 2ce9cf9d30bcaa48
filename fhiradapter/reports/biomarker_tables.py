"""Tables of biomarkers as ratios to baseline."""

from fhiradapter.reports.formats import count, interval, number, percent, plain, significant
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.visit_tables import UNPLACED, visit_name, why_not, window
from fhiradapter.reports.wording import inner, label, plural, sentence
from fhiradapter.results import Biomarker


def biomarker_heading(biomarker: Biomarker, *, several_methods: bool) -> str:
    """Return concept and matrix; the method too where another series differs from this one by it alone."""
    matrix = f" in {inner(plain(biomarker.matrix))}" if biomarker.matrix else ""
    method = f" ({plain(biomarker.method) if biomarker.method else 'method not stated'})"
    return label(biomarker.concept) + matrix + (method if several_methods else "")


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
        remarks=biomarker_remarks(biomarker),
    )


def biomarker_remarks(biomarker: Biomarker) -> tuple[str, ...]:
    """Return the method where it is stated, and that there is nothing to show by visit."""
    remarks = [f"Method: {plain(biomarker.method)}."] if biomarker.method else []
    if biomarker.visits and not any(visit.subjects for visit in biomarker.visits):
        remarks.append(f"At none of the {plural(len(biomarker.visits), 'planned visit')} is there a value.")
    return tuple(remarks)


def visit_table(biomarker: Biomarker, *, level: str) -> Table | None:
    """Return geometric mean and ratio to baseline at each planned visit, when one of them has a value."""
    visits = biomarker.visits
    if not any(visit.subjects for visit in visits):
        return None
    unit = f", {plain(biomarker.unit)}" if biomarker.unit else ""
    return Table(
        caption="Ratio to baseline by planned visit",
        columns=(
            *words("Visit"),
            *numbers(
                "Planned day",
                "Subjects",
                "Below limit",
                f"Geometric mean{unit}",
                "With baseline",
                "Geometric mean ratio",
                f"{level} interval",
                "Change",
            ),
        ),
        rows=tuple(
            (
                visit_name(visit.label),
                window(visit.day, visit.early_days, visit.late_days),
                count(visit.subjects),
                count(visit.below_limit),
                significant(visit.geometric_mean),
                count(visit.n),
                number(visit.gmr),
                interval(visit.ci95),
                percent(visit.percent_change),
            )
            for visit in visits
        ),
        remarks=(UNPLACED, *why_not((visit.label, visit.note) for visit in visits)),
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
