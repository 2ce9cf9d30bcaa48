"""Tables of what was given, when, and beside what else."""

from collections.abc import Mapping

from fhiradapter.reports.formats import brief, cells, count, day, number, percent, plain
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural
from fhiradapter.results import ConcomitantCheck, Coverage, Exposure

# Other ways to record medication than as an administration.
OTHER_MEDICATION = ("MedicationStatement", "MedicationRequest")


def exposure_table(exposure: Exposure) -> Table:
    """Return each subject's doses with the group below."""
    subjects = exposure.subjects
    return Table(
        caption="Exposure",
        columns=(
            *words("Subject"),
            *numbers(
                "Infusions", "Planned", "Cells, 10⁶", "Dose intensity", "Days treated", "Longest gap, d"
            ),
            *numbers("In part"),
        ),
        rows=tuple(
            (
                plain(subject.subject_id),
                count(subject.infusions),
                count(subject.planned),
                cells(subject.cells),
                percent(subject.dose_intensity_percent),
                count(subject.duration_days),
                count(subject.longest_gap_days),
                count(subject.interrupted),
            )
            for subject in subjects[:LONGEST]
        ),
        remarks=(
            *remainder(subjects, "subject"),
            group_sentence(exposure),
        ),
    )


def group_sentence(exposure: Exposure) -> str:
    """Return the exposure of the whole group."""
    doses, dose_cells = exposure.infusions, exposure.cells
    if not doses.get("total"):
        return "Nobody had an infusion."
    return (
        f"Infusions: median {brief(doses.get('median'))} (range {brief(doses.get('min'))}\N{EN DASH}"
        f"{brief(doses.get('max'))}), {brief(doses.get('total'))} in all. "
        f"Million cells: median {cells(dose_cells.get('median'))}, {cells(dose_cells.get('total'))} in all. "
        f"Dose intensity: median {percent(exposure.dose_intensity_percent.get('median'))} of plan."
    )


def adherence_table(exposure: Exposure) -> Table:
    """Return how the planned visits were kept, by subject and in all."""
    names = ("on_time", "early", "late", "missed", "additional")
    rows = tuple(
        (
            plain(subject.subject_id),
            *(count(getattr(subject, name)) for name in names),
            count(subject.not_done),
        )
        for subject in exposure.subjects[:LONGEST]
    )
    total = (
        "All subjects",
        *(count(exposure.adherence.get(name)) for name in names),
        count(sum(subject.not_done for subject in exposure.subjects)),
    )
    return Table(
        caption="Adherence to the planned schedule",
        columns=(*words("Subject"), *numbers(*(label(name) for name in names), "Recorded as not done")),
        rows=(*rows, total),
        remarks=(
            *remainder(exposure.subjects, "subject"),
            "An additional dose belongs to no planned visit and is not an error.",
        ),
    )


def excluded_line(exposure: Exposure) -> str:
    """Return which administrations were read but are no dose, or nothing."""
    parts = [
        f"{plain(status)} {count(number_of)}" for status, number_of in exposure.excluded.items() if number_of
    ]
    return f"Administrations that are no dose, by status: {', '.join(parts)}." if parts else ""


def discharge_sentence(exposure: Exposure) -> str:
    """Return how many infusions ended at home on the same day."""
    discharge = exposure.discharge
    if discharge.infusions == 0:
        return "There was no infusion to look at."
    if discharge.with_encounter == 0:
        return (
            f"Not one of {plural(discharge.infusions, 'infusion')} is linked to an encounter, so nothing can "
            "be said about when the subjects went home."
        )
    return (
        f"{discharge.same_day:,} of {plural(discharge.with_encounter, 'infusion')} with an encounter "
        f"({percent(discharge.percent)}) ended with the subject going home on the same local day. "
        f"{discharge.infusions - discharge.with_encounter:,} of {plural(discharge.infusions, 'infusion')} "
        "had no encounter that says so."
    )


def unread_sentence(sources: Mapping[str, Coverage]) -> str:
    """Return which medication was received in a form that is not read, or nothing."""
    parts = [
        plural(sources[name].received, name)
        for name in OTHER_MEDICATION
        if name in sources and sources[name].received and not sources[name].read
    ]
    return f"Received and not read, so not checked: {' and '.join(parts)}." if parts else ""


def concomitant_sentence(check: ConcomitantCheck, sources: Mapping[str, Coverage]) -> str:
    """Return what the check of excluded medication found and rests on; `sources` are those of safety."""
    unread = unread_sentence(sources)
    if not check.excluded_kinds:
        named = "The study file names no excluded kinds of medication, so nothing was checked."
        return f"{named} {unread}".strip()
    kinds = ", ".join(label(plain(kind)).lower() for kind in check.excluded_kinds)
    doubts = [
        f"{plural(check.unmapped_administrations, 'administration')} with a code that no list knows"
        if check.unmapped_administrations
        else "",
        f"{plural(check.undated_administrations, 'administration')} without a date"
        if check.undated_administrations
        else "",
        f"{plural(check.after_cut_administrations, 'administration')} after the data cut"
        if check.after_cut_administrations
        else "",
    ]
    unknown = ", ".join(label(plain(kind)).lower() for kind in check.unknown_kinds)
    doubt = "; ".join(filter(None, doubts))
    found = f"{len(check.findings):,}" if check.findings else "none"
    checked = (
        f"Of {plural(check.administrations_checked, 'administration')} in "
        f"{plural(check.subjects_checked, 'subject')}, {found} fell inside the window."
        if check.administrations_checked
        else "There was no administration of other medication to check: that is not the same as none given."
    )
    return (
        f"Excluded by the protocol: {kinds}. {checked}"
        + (f" {unread}" if unread else "")
        + (f" Not checked: {doubt}." if doubt else "")
        + (f" No medication is known for: {unknown}, which therefore cannot be found." if unknown else "")
    )


def concomitant_table(check: ConcomitantCheck) -> Table | None:
    """Return the excluded medication that was given."""
    if not check.findings:
        return None
    return Table(
        caption="Excluded medication given inside the window",
        columns=(*words("Subject", "Medication", "Kind"), *numbers("Day")),
        rows=tuple(
            (
                plain(finding.subject_id),
                label(plain(finding.concept)),
                label(plain(finding.kind)),
                day(finding.started_on),
            )
            for finding in check.findings[:LONGEST]
        ),
        remarks=remainder(check.findings, "finding"),
    )


def day_list(exposure: Exposure) -> Table | None:
    """Return the administrations that are not a plain dose on time, with their remarks."""
    rows = [
        (
            plain(infusion.subject_id),
            day(infusion.started_on),
            number(infusion.day, decimals=0),
            label(plain(infusion.status)),
            label(plain(infusion.timing)),
            "; ".join(map(plain, infusion.notes)),
        )
        for infusion in exposure.timeline
        if infusion.timing in {"early", "late", "missed"} or infusion.status != "completed" or infusion.notes
    ]
    if not rows:
        return None
    return Table(
        caption="Infusions off schedule, not done or with a remark",
        columns=(*words("Subject"), *numbers("Date", "Study day"), *words("Status", "Timing", "Remarks")),
        rows=tuple(rows[:LONGEST]),
        remarks=(
            *remainder(rows, "infusion"),
            "The first dose is on study day 1; there is no day 0.",
        ),
    )
