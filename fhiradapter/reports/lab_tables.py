"""Tables of laboratory values that got worse."""

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import count, day, interval, plain, share, significant, units
from fhiradapter.reports.table import LONGEST, Cell, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural
from fhiradapter.results import LabAbnormality, Results

TO_THE_LETTER = "4.03"
CREATININE = "creatinine"


def creatinine_remark(results: Results) -> tuple[str, ...]:
    """Return what version 4.03 does to creatinine, where both are shown."""
    safety = results.safety
    if safety.ctcae_version != TO_THE_LETTER or all(lab.test != CREATININE for lab in safety.labs):
        return ()
    return (
        "CTCAE 4.03 calls creatinine above 1 to 1.5 times baseline grade 1, also within the normal range: "
        "to the letter, every value a little above baseline counts, so that most subjects have grade 1.",
    )


def emergent_table(results: Results) -> Table | None:
    """Return how many subjects had a laboratory value above their baseline grade."""
    laboratory = results.safety.laboratory
    if laboratory is None or not any(line.n for line in laboratory.emergent.values()):
        return None
    level = confidence(results)
    numbers_of = ", ".join(
        f"{plural(subjects, 'subject')} with {plain(tests)}"
        for tests, subjects in laboratory.by_number.items()
    )
    return Table(
        caption="Subjects with a treatment-emergent laboratory abnormality",
        columns=(
            *words("Abnormality"),
            *numbers("Tests", "n/N (%)", f"{level} Clopper\N{EN DASH}Pearson, %", f"{level} Wilson, %"),
        ),
        rows=tuple(
            (
                label(plain(name)),
                count(line.events),
                share(line.count, line.n),
                interval(line.clopper_pearson, decimals=1),
                interval(line.wilson, decimals=1),
            )
            for name, line in laboratory.emergent.items()
        ),
        remarks=(
            "N counts subjects with a test of which both the baseline grade and a later grade are known.",
            *((f"By number of such tests: {numbers_of}.",) if numbers_of else ()),
        ),
    )


def abnormality_table(results: Results) -> Table | None:
    """Return the worst value of each subject and test, the worst grades first."""
    laboratory = results.safety.laboratory
    if laboratory is None or not laboratory.rows:
        return None
    rows = sorted(laboratory.rows, key=lambda row: (-row.grade, row.subject_id, row.test, row.direction))
    return Table(
        caption=f"Worst laboratory values after the first dose, grade 1 or more by CTCAE "
        f"{plain(results.safety.ctcae_version)}",
        columns=(
            *words("Subject", "Test"),
            *numbers("Worst value", "Date", "Grade", "Baseline grade"),
            *words("Treatment-emergent"),
        ),
        rows=tuple(
            (
                plain(row.subject_id),
                f"{label(plain(row.test))} ({plain(row.direction)})",
                _value(row),
                day(row.on),
                count(row.grade),
                count(row.baseline_grade),
                _emergent(row),
            )
            for row in rows[:LONGEST]
        ),
        remarks=(
            *remainder(rows, "value"),
            "One line per subject, test and direction; grade 0 is not listed.",
        ),
    )


def _value(row: LabAbnormality) -> str:
    shown = f"{plain(row.comparator or '')} {significant(row.value)} {units(plain(row.unit or ''))}"
    return shown.strip()


def _emergent(row: LabAbnormality) -> Cell | str:
    if row.treatment_emergent is None:
        return "not known"
    return Cell(text="yes", kind="worse") if row.treatment_emergent else "no"
