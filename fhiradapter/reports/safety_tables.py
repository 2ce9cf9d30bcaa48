"""Tables of harm, each with what it rests on."""

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import count, day, interval, number, plain, share
from fhiradapter.reports.lab_tables import creatinine_remark
from fhiradapter.reports.table import Cell, Row, Table, numbers, words
from fhiradapter.reports.wording import label, sentence
from fhiradapter.results import Incidence, LabShift, Results

EVENT_SOURCE = "AdverseEvent"  # a Condition is a diagnosis and is not counted as an adverse event
UNDECIDED = "possibly dose-limiting"  # notes that begin with it count events that the rule cannot place
GRADES = ("1", "2", "3", "4", "5")


def overview_table(results: Results) -> Table | None:
    """Return the subjects with at least one event, by kind of event."""
    overview = results.safety.overview
    if not overview or events_unread(results):
        return None
    level = confidence(results)
    rated = any(incidence.rate_per_100_person_years is not None for incidence in overview.values())
    return Table(
        caption="Overview: subjects with at least one event",
        columns=(
            *words("Event"),
            *numbers("Events", "n/N (%)", f"{level} Clopper\N{EN DASH}Pearson, %", f"{level} Wilson, %"),
            *(numbers("Per 100 person-years", f"{level} Poisson") if rated else ()),
        ),
        rows=tuple(
            (
                label(plain(name)),
                count(incidence.events),
                share(incidence.count, incidence.n),
                interval(incidence.clopper_pearson, decimals=1),
                interval(incidence.wilson, decimals=1),
                *(rate(incidence) if rated else ()),
            )
            for name, incidence in overview.items()
        ),
        remarks=(
            "Severe is not serious: severe is grade 3 or more; serious is death, threat to life, "
            "hospitalisation, disability, congenital anomaly or another important event. Where nobody had an "
            "event, the upper limit says what is still possible.",
        ),
    )


def rate(incidence: Incidence) -> tuple[str, str]:
    """Return events per 100 person-years with the exact interval."""
    return (
        number(incidence.rate_per_100_person_years, decimals=1),
        interval(incidence.rate_interval, decimals=1),
    )


def events_unread(results: Results) -> bool:
    """Return True when no source of adverse events was read, so that zeros would say nothing."""
    source = results.safety.sources.get(EVENT_SOURCE)
    seen = any(incidence.events for incidence in results.safety.overview.values())
    return source is not None and not seen and not source.read


def term_table(results: Results) -> Table | None:
    """Return the terms, each subject once at the worst grade."""
    terms = results.safety.terms
    if not terms:
        return None
    whole = next((incidence.n for incidence in results.safety.overview.values()), results.cohort.n)
    others = sorted({grade for term in terms for grade in term.by_worst_grade} - set(GRADES))
    rows: list[Row] = []
    previous = ""
    for term in terms:
        system = plain(term.system) if term.system else "No system given"
        if system != previous:
            rows.append((Cell(text=system, kind="group"), *[""] * (2 + len(GRADES) + len(others))))
            previous = system
        grades = [term.by_worst_grade.get(grade, 0) for grade in (*GRADES, *others)]
        rows.append(
            (
                Cell(text=plain(term.term), kind="inside"),
                share(term.subjects, whole),
                count(term.events),
                *(count(number_of) if number_of else Cell(text="0", kind="muted") for number_of in grades),
            )
        )
    return Table(
        caption="Terms by worst grade, each subject once per term",
        columns=(
            *words("System and term"),
            *numbers("n/N (%)", "Events", *(f"Grade {grade}" for grade in GRADES), *map(label, others)),
        ),
        rows=tuple(rows),
    )


def shift_rows(lab: LabShift, grades: list[str]) -> list[Row]:
    """Return one row per baseline grade, with subjects by their worst grade later."""
    direction = {"high": " (high)", "low": " (low)"}.get(lab.direction, f" ({plain(lab.direction)})")
    term = f": {plain(lab.term)}" if lab.term and lab.term != lab.test else ""
    rows: list[Row] = [
        (
            Cell(text=f"{label(plain(lab.test))}{direction}{term}", kind="group"),
            *[""] * (1 + len(grades)),
            Cell(text=count(lab.treatment_emergent), kind="group"),
            Cell(text=count(lab.not_gradable), kind="group"),
        )
    ]
    for baseline, shifts in sorted(lab.grade_shift.items()):
        cells: list[str | Cell] = []
        for grade in grades:
            number_of = shifts.get(grade, 0)
            worse = number_of > 0 and baseline.isdigit() and grade.isdigit() and int(grade) > int(baseline)
            kind = "worse" if worse else "muted" if number_of == 0 else "plain"
            cells.append(Cell(text=count(number_of), kind=kind))
        rows.append(("", baseline if baseline.isdigit() else label(plain(baseline)), *cells, "", ""))
    return rows


def lab_table(results: Results) -> Table | None:
    """Return baseline grade against worst grade after first dose, test by test."""
    labs = results.safety.labs
    if not labs:
        return None
    grades = sorted({grade for lab in labs for shifts in lab.grade_shift.values() for grade in shifts})
    rows = [row for lab in labs for row in shift_rows(lab, grades)]
    return Table(
        caption=f"Laboratory shifts, lab-derived grades by CTCAE {plain(results.safety.ctcae_version)}",
        columns=(
            *words("Test"),
            *numbers("Baseline grade"),
            *numbers(*(f"Worst {grade}" if grade.isdigit() else label(plain(grade)) for grade in grades)),
            *numbers("Treatment-emergent", "Not gradable"),
        ),
        rows=tuple(rows),
        remarks=(
            "Cells are subjects; shifts to a worse grade are marked. Treatment-emergent counts "
            "subjects whose worst grade after the first dose is above their baseline grade. "
            "Not gradable is not grade 0.",
            *creatinine_remark(results),
        ),
    )


def dose_limiting_line(results: Results) -> str:
    """Return how many subjects had a dose-limiting toxicity, with the intervals that 0 of few needs most."""
    limiting = results.safety.dose_limiting
    if limiting is None:
        return ""
    found = limiting.incidence
    if found is None or not found.n:
        return f"{count(limiting.n)} subjects; nobody had a dose"
    level = confidence(results)
    return (
        f"{share(found.count, found.n)} of the subjects with a dose, {level} Clopper\N{EN DASH}Pearson "
        f"interval {interval(found.clopper_pearson, decimals=1)}\N{NO-BREAK SPACE}%, "
        f"Wilson {interval(found.wilson, decimals=1)}\N{NO-BREAK SPACE}%"
    )


def undecided_line(results: Results) -> str:
    """Return the events of which it is not known whether they are dose-limiting, or nothing."""
    parts = [
        f"{plain(name)}: {count(number_of)}"
        for name, number_of in results.safety.notes.items()
        if name.startswith(UNDECIDED)
    ]
    return f"Events undecided and not counted: {'; '.join(parts)}." if parts else ""


def note_table(results: Results) -> Table | None:
    """Return the flags that events and labs got, counted."""
    notes = results.safety.notes
    if not notes:
        return None
    return Table(
        caption="Flags on events and laboratory values",
        columns=(*words("What was seen"), *numbers("Count")),
        rows=tuple(
            (sentence(label(plain(name))).removesuffix("."), count(number_of))
            for name, number_of in notes.items()
        ),
    )


def coverage_table(results: Results) -> Table | None:
    """Return the sources of everything about safety, with what was read of each."""
    sources = results.safety.sources
    if not sources:
        return None
    return Table(
        caption="What these tables rest on",
        columns=(
            *words("Source", "Read"),
            *numbers("Received", "Mapped", "First", "Last"),
            *words("Statement"),
        ),
        rows=tuple(
            (
                label(plain(name)),
                Cell(text="\N{CHECK MARK} yes", kind="good") if part.read else Cell(text="✗ no", kind="bad"),
                count(part.received),
                count(part.mapped),
                day(part.first_on),
                day(part.last_on),
                sentence(plain(part.statement)),
            )
            for name, part in sources.items()
        ),
    )


def coverage_lines(results: Results, *, laboratory: bool) -> tuple[str, ...]:
    """Return the statements of the sources that the tables of events, or of the laboratory, rest on."""
    return tuple(
        f"{plain(name)}: {plain(part.statement)}"
        for name, part in results.safety.sources.items()
        if (("lab" in name.lower()) if laboratory else not name.startswith("Observation"))
    )
