"""Tables of vital capacity: change from baseline, and slopes by period."""

from fhiradapter.reports.formats import count, interval, number, percent, plain
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.visit_tables import UNPLACED, visit_name, why_not, window
from fhiradapter.reports.wording import label, sentence
from fhiradapter.results import VitalCapacity

POINTS = "percentage points"


def capacity_heading(capacity: VitalCapacity, *, several_methods: bool) -> str:
    """Return the concept; the method too where another series differs from this one by it alone."""
    method = f" ({plain(capacity.method) if capacity.method else 'method not stated'})"
    return label(plain(capacity.concept)) + (method if several_methods else "")


def unit_of_change(capacity: VitalCapacity) -> str:
    """Return the unit of a difference: 60 % is 20 percentage points less than 80 %, and 25 % less."""
    return POINTS if capacity.unit == "%" else plain(capacity.unit or "unit not stated")


def decimals(capacity: VitalCapacity) -> int:
    """Return how many decimals a value is shown with: a litre has hundredths, percent predicted tenths."""
    return 1 if capacity.unit == "%" else 2


def change_table(capacity: VitalCapacity, *, level: str) -> Table:
    """Return the change of one series from baseline to the value that is set against it."""
    change, places = capacity.change, decimals(capacity)
    notes = [f"Method: {plain(capacity.method)}."] if capacity.method else []
    if change.note:
        notes.append(sentence(change.note))
    if capacity.visits and not any(visit.subjects for visit in capacity.visits):
        notes.append("At none of the planned visits is there a value.")
    return Table(
        caption="Change from baseline",
        columns=(
            *words("Compared"),
            *numbers(
                "With baseline",
                f"Baseline, {plain(capacity.unit or 'unit not stated')}, mean (SD)",
                "n",
                f"Change, {unit_of_change(capacity)}",
                f"{level} interval",
                "Change in percent of baseline",
                f"{level} interval",
            ),
        ),
        rows=(
            (
                label(plain(capacity.compared)),
                count(capacity.baseline_n),
                number(capacity.baseline_mean, decimals=places)
                + (
                    f" ({number(capacity.baseline_sd, decimals=places)})"
                    if capacity.baseline_sd is not None
                    else ""
                ),
                count(change.n),
                number(change.change, decimals=places),
                interval(change.ci95, decimals=places),
                percent(change.relative_change),
                interval(change.relative_ci95, decimals=1),
            ),
        ),
        remarks=tuple(notes),
    )


def visit_table(capacity: VitalCapacity, *, level: str) -> Table | None:
    """Return mean and change from baseline at each planned visit, when one of them has a value."""
    visits, places = capacity.visits, decimals(capacity)
    if not any(visit.subjects for visit in visits):
        return None
    return Table(
        caption="Change from baseline by planned visit",
        columns=(
            *words("Visit"),
            *numbers(
                "Planned day",
                "Subjects",
                f"Mean, {plain(capacity.unit or 'unit not stated')}",
                "With baseline",
                f"Change, {unit_of_change(capacity)}",
                f"{level} interval",
                "Change in percent of baseline",
                f"{level} interval",
            ),
        ),
        rows=tuple(
            (
                visit_name(visit.label),
                window(visit.day, visit.early_days, visit.late_days),
                count(visit.subjects),
                number(visit.mean, decimals=places),
                count(visit.change.n),
                number(visit.change.change, decimals=places),
                interval(visit.change.ci95, decimals=places),
                percent(visit.change.relative_change),
                interval(visit.change.relative_ci95, decimals=1),
            )
            for visit in visits
        ),
        remarks=(UNPLACED, *why_not((visit.label, visit.change.note) for visit in visits)),
    )


def period_table(capacity: VitalCapacity, *, level: str) -> Table | None:
    """Return the slopes of the periods, when a subject has one that counts."""
    if not any(period.n for period in capacity.periods.values()):
        return None
    return Table(
        caption=f"Slopes by period, {unit_of_change(capacity)} per month",
        columns=(
            *words("Period"),
            *numbers("n", "Mean", "SD", f"{level} t interval", "Median", "Excluded"),
        ),
        rows=tuple(
            (
                label(plain(name)),
                count(period.n),
                number(period.mean_slope, decimals=3),
                number(period.sd, decimals=3),
                interval(period.ci95, decimals=3),
                number(period.median_slope, decimals=3),
                count(len(period.excluded)),
            )
            for name, period in capacity.periods.items()
        ),
        remarks=("Least squares per subject; n counts the subjects whose period is adequate.",),
    )


def capacity_exclusions(capacity: VitalCapacity) -> Table | None:
    """Return the subjects that the change from baseline does without."""
    if not capacity.excluded:
        return None
    return Table(
        caption="Subjects without a change from baseline",
        columns=words("Subject", "Reason"),
        rows=tuple(
            (plain(exclusion.subject_id), sentence(plain(exclusion.reason)))
            for exclusion in capacity.excluded[:LONGEST]
        ),
        remarks=remainder(capacity.excluded, "exclusion"),
    )


def capacity_notes(capacity: VitalCapacity) -> Table | None:
    """Return how many values were left out or flagged."""
    if not capacity.notes:
        return None
    return Table(
        caption="Flags and exclusions of values",
        columns=(*words("What was seen"), *numbers("Values")),
        rows=tuple((label(plain(name)), count(number_of)) for name, number_of in capacity.notes.items()),
    )
