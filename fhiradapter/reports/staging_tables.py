"""Tables of ALSFRS-R domains and disease stages."""

from collections import Counter

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import MISSING, brief, count, known, number, plain, spread
from fhiradapter.reports.table import LONGEST, Row, Table, numbers, remainder, words
from fhiradapter.reports.wording import inner, label, plural, sentence
from fhiradapter.results import Results, StageSystem, Staging, SubjectStages, TimeToStage

SYSTEMS = {"mitos": "MiToS", "kings": "King's"}
RULES = {
    "mitos": "MiToS counts how many of four functions (movement, swallowing, communicating, breathing) lost "
    "their independence, after Chi\u00f2 et al., doi 10.1136/jnnp-2013-306589. Stage 5 is death.",
    "kings": "King's counts involved regions (bulbar, upper limb, lower limb); 4A is gastrostomy, 4B is "
    "respiratory failure, with or without gastrostomy; after Balendra et al., doi "
    "10.3109/21678421.2014.897357. Stage 0, all items normal, is no part of the published system. Stage 5 is "
    "death.",
}
NOT_REACHED = "not reached"


def domain_table(staging: Staging) -> Table:
    """Return the domains at baseline and at the last assessment."""
    return Table(
        caption="ALSFRS-R domains, points of 12, median (range)",
        columns=(*words("Domain"), *numbers("n at baseline", "Baseline", "n at last", "Last")),
        rows=tuple(
            (
                label(name),
                count(domain.baseline.n),
                spread(domain.baseline),
                count(domain.last.n),
                spread(domain.last),
            )
            for name, domain in staging.domains.items()
        ),
        remarks=("A domain needs its three items.",),
    )


def stage_table(name: str, system: StageSystem) -> Table:
    """Return how many subjects are at each stage: at baseline, at last, and at worst."""
    remarks = [RULES[name]]
    if system.steps_back:
        remarks.append(
            f"{plural(system.steps_back, 'step')} back to a lower stage, in "
            f"{plural(system.subjects_back, 'subject')}: counted, and kept as they are."
        )
    if system.undecided:
        reasons = ", ".join(f"{inner(reason)} ({number:,})" for reason, number in system.undecided.items())
        remarks.append(f"Assessments without a stage: {reasons}.")
    return Table(
        caption=f"{SYSTEMS[name]} stage of {plural(system.subjects, 'subject')}",
        columns=(*words("Stage"), *numbers("Baseline", "Last", "Worst")),
        rows=tuple(
            (
                stage,
                count(system.baseline[stage]),
                count(system.last[stage]),
                count(system.worst[stage]),
            )
            for stage in system.stages
        ),
        remarks=tuple(remarks),
    )


def step_table(name: str, system: StageSystem) -> Table | None:
    """Return how often each stage followed each other one."""
    if not system.steps:
        return None
    counts = {(step.before, step.after): step.count for step in system.steps}
    before = [stage for stage in system.stages if any(stage == one for one, _ in counts)]
    after = [stage for stage in system.stages if any(stage == other for _, other in counts)]
    return Table(
        caption=f"{SYSTEMS[name]} stage from one assessment to the next",
        columns=(*words("From"), *numbers(*(f"to {stage}" for stage in after))),
        rows=tuple((stage, *(count(counts.get((stage, other), 0)) for other in after)) for stage in before),
    )


def time_sentence(results: Results) -> str:
    """Return how the times to a stage are counted."""
    start = "first assessment with a stage"
    if results.exposure is not None:
        start = f"first dose, or without one from the {start}"
    return (
        f"Times to a stage run from the {start}; who is there by then is not at risk. Death counts as "
        "reaching every stage. A stage is first seen at a visit, so it was reached some time before. Medians "
        "are Kaplan\N{EN DASH}Meier; without an event a subject counts until the last stage, for death until "
        "the last contact."
    )


def time_table(name: str, system: StageSystem, results: Results) -> Table | None:
    """Return the time to each stage or a higher one."""
    if not any(time.subjects or time.already for time in system.times):
        return None
    months = ", ".join(map(str, system.at_risk_months))
    reasons = Counter(exclusion.reason for exclusion in system.excluded)
    remarks = [
        f"Not counted: {plural(number, 'subject')}. {sentence(plain(reason))}"
        for reason, number in reasons.items()
    ]
    return Table(
        caption=f"Months to {SYSTEMS[name]} stage or higher",
        columns=(
            *words("Stage"),
            *numbers("There before", "At risk", "Reached", "By death", "Median"),
            *numbers(f"{confidence(results)} interval", f"At risk after {months} months"),
        ),
        rows=tuple(time_row(time) for time in system.times),
        remarks=tuple(remarks),
    )


def time_row(time: TimeToStage) -> Row:
    """Return one line of the times; nobody at risk has no time."""
    if not time.subjects:
        return (time.stage, count(time.already), count(0), *[MISSING] * 5)
    return (
        time.stage,
        count(time.already),
        count(time.subjects),
        count(time.events),
        count(time.deaths),
        number(time.median, decimals=1) if known(time.median) else NOT_REACHED,
        limits(time.ci95),
        " \N{MIDDLE DOT} ".join(map(count, time.at_risk)),
    )


def limits(ends: tuple[float | None, float | None] | None) -> str:
    """Return an interval one or both of whose ends may not be reached.

    >>> limits((2.53, None)), limits(None)
    ('2.5 to not reached', '–')
    """
    if ends is None:
        return MISSING
    return " to ".join(number(end, decimals=1) if known(end) else NOT_REACHED for end in ends)


def subject_stage_table(staging: Staging) -> Table | None:
    """Return each subject's stages, one system beside the other."""
    rows: dict[str, dict[str, SubjectStages]] = {}
    for row in staging.subject_rows:
        rows.setdefault(row.subject_id, {})[row.system] = row
    if not rows:
        return None
    return Table(
        caption="Stages of each subject",
        columns=(
            *words("Subject"),
            *(
                column
                for system in SYSTEMS.values()
                for column in numbers(f"{system} baseline", "last", "worst", "back")
            ),
        ),
        rows=tuple(
            (plain(subject), *(cell for system in SYSTEMS for cell in subject_cells(own[system])))
            for subject, own in list(rows.items())[:LONGEST]
        ),
        remarks=(*remainder(list(rows), "subject"), "Back counts the steps to a lower stage."),
    )


def subject_cells(row: SubjectStages) -> Row:
    """Return baseline, last and worst stage and the steps back of one subject."""
    stages = (row.baseline or MISSING, row.last or MISSING, row.worst or MISSING)
    return (*stages, brief(row.steps_back) if row.assessments else MISSING)


def staging_note_table(staging: Staging) -> Table | None:
    """Return how often an assessment was flagged or an item left out."""
    if not staging.notes:
        return None
    return Table(
        caption="Flags of assessments and exclusions of items",
        columns=(*words("What was seen"), *numbers("Times")),
        rows=tuple((label(plain(name)), count(times)) for name, times in staging.notes.items()),
    )
