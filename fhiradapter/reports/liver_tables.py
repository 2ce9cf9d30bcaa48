"""What can be said about Hy's law."""

from fhiradapter.reports.cautions import unseen_limit
from fhiradapter.reports.certainty import certainty, confidence
from fhiradapter.reports.formats import count, day, number, percent, plain
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural
from fhiradapter.results import HysLaw, LiverCase, Results

NAMED = 20  # subjects; more are counted


def liver_sentences(results: Results) -> tuple[str, ...]:
    """Return who could be assessed, and what came of it; nothing where it was not looked for."""
    found = results.safety.hys_law
    if found is None:
        return ()
    if not found.subjects:
        return ("Hy's law could not be assessed: nobody had a dated dose.", f"Rule: {plain(found.rule)}")
    if not found.assessable and not found.cases and not found.undecided:
        return (
            f"Hy's law could not be assessed in any subject{_reasons(found)}.",
            f"Rule: {plain(found.rule)}",
        )
    lines = [
        f"{len(found.cases):,} of {plural(found.assessable, 'subject')} that can be assessed "
        f"{'meets' if len(found.cases) == 1 else 'meet'} the numbers of Hy's law."
    ]
    if found.assessable and not found.cases:
        limit = unseen_limit(found.assessable, level=certainty(results))
        lines.append(
            f"Up to {percent(limit)} of patients may still do so "
            f"(upper limit of the {confidence(results)} Clopper\N{EN DASH}Pearson interval)."
        )
    if found.undecided:
        names = ", ".join(map(plain, found.undecided[:NAMED]))
        more = f" and {len(found.undecided) - NAMED:,} more" if len(found.undecided) > NAMED else ""
        lines.append(
            f"Undecided, with a raised aminotransferase and no bilirubin to judge it by: {names}{more}."
        )
    if found.not_assessable:
        lines.append(f"Not assessable{_reasons(found)}.")
    if found.values_not_judged:
        lines.append(
            f"{plural(found.values_not_judged, 'value')} could not be set against a limit of normal."
        )
    return (*lines, f"Rule: {plain(found.rule)}")


def _reasons(found: HysLaw) -> str:
    parts = (
        f"{plain(reason)}, {plural(number_of, 'subject')}"
        for reason, number_of in found.not_assessable.items()
    )
    told = "; ".join(parts)
    return f" ({told})" if told else ""


def liver_table(results: Results) -> Table | None:
    """Return the subjects that meet the numbers of Hy's law."""
    found = results.safety.hys_law
    if found is None or not found.cases:
        return None
    return Table(
        caption="Subjects that meet the numbers of Hy's law",
        columns=(
            *words("Subject", "Aminotransferase"),
            *numbers("x ULN", "Date", "Bilirubin, x ULN", "Date", "Days between", "ALP, x ULN"),
            *words("Cholestasis"),
        ),
        rows=tuple(
            (
                plain(case.subject_id),
                label(plain(case.aminotransferase)),
                number(case.aminotransferase_uln, decimals=1),
                day(case.aminotransferase_on),
                number(case.bilirubin_uln, decimals=1),
                day(case.bilirubin_on),
                count(case.days_between),
                number(case.alkaline_phosphatase_uln, decimals=1),
                _cholestasis(case),
            )
            for case in found.cases[:LONGEST]
        ),
        remarks=(
            *remainder(found.cases, "subject"),
            "For review: other causes are not looked for. Source of the rule: FDA, Guidance for Industry, "
            "Drug-Induced Liver Injury: Premarketing Clinical Evaluation, July 2009.",
        ),
    )


def _cholestasis(case: LiverCase) -> str:
    if case.cholestatic is None:
        return "not known"
    return "alkaline phosphatase raised" if case.cholestatic else "no sign"
