"""Tables of vital signs that stand out after the first dose."""

from fhiradapter.reports.formats import MISSING, brief, count, day, number, plain, share, units
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label
from fhiradapter.results import Results, VitalSign

GRADES = ("1", "2", "3")


def vital_table(results: Results) -> Table | None:
    """Return the signs that were looked for, with the subjects that had them."""
    vitals = results.safety.vital_signs
    if vitals is None or not any(part.assessed or part.not_assessable for part in vitals.signs):
        return None
    left_out = ", ".join(f"{label(plain(name)).lower()} {count(n)}" for name, n in vitals.left_out.items())
    return Table(
        caption="Vital signs after the first dose, by CTCAE "
        f"{plain(results.safety.ctcae_version)} where it has numbers",
        columns=(
            *words("Sign", "Kind"),
            *numbers("n/N (%)", "Readings", *(f"Grade {grade}" for grade in GRADES)),
            *numbers("Treatment-emergent", "Near an infusion", "Not assessable"),
        ),
        rows=tuple(_row(part) for part in vitals.signs),
        remarks=(
            *(f"{label(part.sign)}: {units(plain(part.criterion))}." for part in vitals.signs),
            f"Baseline: {plain(vitals.baseline_rule)}.",
            "Single readings, not adverse events; a screening flag is no grade. Heart rate is left out: "
            "CTCAE gives no number.",
            *((f"Readings left out: {left_out}.",) if left_out else ()),
        ),
    )


def _row(part: VitalSign) -> tuple[str, ...]:
    """Return one sign's line; a sign that nobody was measured for has no counts."""
    measured = part.assessed > 0
    graded = part.kind == "grade" and measured
    return (
        label(plain(part.sign)),
        label(plain(part.kind)),
        share(part.subjects, part.assessed) if measured else "no reading",
        count(part.readings) if measured else MISSING,
        *(count(part.by_worst_grade.get(grade, 0)) if graded else MISSING for grade in GRADES),
        count(part.treatment_emergent) if measured else MISSING,
        count(part.near_infusion) if measured else MISSING,
        count(part.not_assessable),
    )


def vital_list(results: Results) -> Table | None:
    """Return each subject's worst reading of each sign."""
    vitals = results.safety.vital_signs
    if vitals is None or not vitals.findings:
        return None
    return Table(
        caption="Worst reading of each subject and sign",
        columns=(
            *words("Subject", "Sign", "Measured"),
            *numbers("Reading", "Grade", "Baseline", "Date", "Hours after infusion"),
        ),
        rows=tuple(
            (
                plain(part.subject_id),
                label(plain(part.sign)),
                label(plain(part.concept)),
                f"{brief(part.value)} {units(plain(part.unit or ''))}".strip(),
                count(part.grade),
                brief(part.baseline),
                day(part.on),
                number(part.hours_after_infusion, decimals=1),
            )
            for part in vitals.findings[:LONGEST]
        ),
        remarks=remainder(vitals.findings, "reading"),
    )


def vital_coverage(results: Results) -> tuple[str, ...]:
    """Return the statements of the sources that the tables of vital signs rest on."""
    return tuple(
        f"{plain(name)}: {plain(part.statement)}"
        for name, part in results.safety.sources.items()
        if "vital" in name.lower()
    )
