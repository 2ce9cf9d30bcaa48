"""Tables of who was studied."""

from fhiradapter.reports.formats import brief, count, day, number, percent, plain, share
from fhiradapter.reports.table import (
    LONGEST,
    Cell,
    Row,
    Table,
    numbers,
    remainder,
    without_empty_columns,
    words,
)
from fhiradapter.reports.wording import label
from fhiradapter.results import Results, SubjectSummary


def baseline_table(results: Results) -> Table | None:
    """Return the baseline characteristics."""
    rows: list[Row] = []
    previous = None
    for line in results.cohort.baseline_table:
        unit = f", {plain(line.unit)}" if line.unit and line.unit not in line.name else ""
        name = f"{label(plain(line.name))}{unit}"
        if line.level is not None and line.name != previous:
            rows.append((Cell(text=name, kind="group"), "", "", ""))
        shown = name if line.level is None else Cell(text=label(plain(line.level)), kind="inside")
        rows.append((shown, line.value, count(line.n), count(line.missing)))
        previous = line.name if line.level is not None else None
    if not rows:
        return None
    return Table(
        caption="Baseline characteristics",
        columns=(*words("Characteristic"), *numbers("Value", "n", "Missing")),
        rows=tuple(rows),
        remarks=(
            "Numbers are median (range), categories are count (percent); n counts subjects with a value.",
        ),
    )


def subject_row(subject: SubjectSummary) -> Row:
    """Return one subject's line."""
    fate = f"died {day(subject.death_on)}" if subject.died and subject.death_on else ""
    return (
        plain(subject.subject_id),
        label(plain(subject.sex)) if subject.sex else "",
        number(subject.age, decimals=0),
        brief(subject.baseline_score),
        number(subject.delta_fs),
        day(subject.index_on),
        day(subject.last_contact_on),
        number(subject.follow_up_months, decimals=1),
        "; ".join(filter(None, ["died" if subject.died and not fate else fate, *map(plain, subject.notes)])),
    )


def subject_table(results: Results) -> Table | None:
    """Return the list of subjects with their index dates."""
    subjects = results.cohort.subjects
    if not subjects:
        return None
    adequate = sum(subject.follow_up_adequate for subject in subjects)
    listing = Table(
        caption="Subjects",
        columns=(
            *words("Subject", "Sex"),
            *numbers("Age", "Score at baseline", "Delta-FS", "Index date", "Last contact", "Months"),
            *words("Remarks"),
        ),
        rows=tuple(subject_row(subject) for subject in subjects[:LONGEST]),
        remarks=(
            *remainder(subjects, "subject"),
            "The index date is the first dose, else the first score. Delta-FS is the loss in points per "
            "month from symptom onset to baseline. "
            f"Follow-up is adequate in {share(adequate, len(subjects))}.",
        ),
    )
    return without_empty_columns(listing)


def arm_line(results: Results) -> str:
    """Return the arms with their counts, or nothing when there is one group."""
    arms = results.cohort.arms
    if len(arms) < 2:
        return ""
    total = sum(arms.values())
    return "; ".join(
        f"{label(plain(arm))} {size} ({percent(100 * size / total)})" for arm, size in arms.items()
    )
