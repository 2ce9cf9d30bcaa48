"""Tables of courses of infusions, and of what interrupted them."""

from fhiradapter.reports.formats import brief, cells, count, day, plain
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural
from fhiradapter.results import Exposure


def course_table(exposure: Exposure) -> Table | None:
    """Return each subject's courses; nothing where all subjects have one course or none."""
    courses = exposure.courses
    if exposure.course_gap_days is None or not any(course.number > 1 for course in courses):
        return None
    undated = exposure.undated_infusions
    return Table(
        caption="Courses of infusions",
        columns=(
            *words("Subject"),
            *numbers("Course", "Infusions", "First", "Last", "Days", "Cells, 10⁶", "Gap before, d"),
        ),
        rows=tuple(
            (
                plain(course.subject_id),
                count(course.number),
                count(course.infusions),
                day(course.first_on),
                day(course.last_on),
                count(course.days),
                cells(course.cells),
                count(course.gap_before_days),
            )
            for course in courses[:LONGEST]
        ),
        remarks=(
            *remainder(courses, "course"),
            f"More than {plural(exposure.course_gap_days, 'day')} between two infusions begin a new course: "
            "a planned visit that was missed can be such a gap.",
            *((f"{plural(undated, 'infusion')} without a day in no course.",) if undated else ()),
        ),
    )


def course_sentence(exposure: Exposure) -> str:
    """Return whether there were courses, where no table tells it."""
    if exposure.duration is None:  # results of a version that did not look for courses
        return ""
    if exposure.course_gap_days is None:
        return "Courses: not defined; neither the schedule nor the study file says how long a gap may be."
    if exposure.courses and not any(course.number > 1 for course in exposure.courses):
        return (
            f"Courses: one in each treated subject; no gap between infusions of more than "
            f"{plural(exposure.course_gap_days, 'day')}."
        )
    return ""


def interruption_table(exposure: Exposure) -> Table | None:
    """Return the infusions that were stopped; the gaps stand in the table of courses."""
    stopped = [part for part in exposure.interruptions if part.kind == "stopped"]
    if not stopped:
        return None
    return Table(
        caption="Infusions stopped before their end",
        columns=(*words("Subject"), *numbers("Date"), *words("Kind")),
        rows=tuple(
            (plain(part.subject_id), day(part.on), label(plain(part.kind))) for part in stopped[:LONGEST]
        ),
        remarks=remainder(stopped, "infusion"),
    )


def duration_sentence(exposure: Exposure) -> str:
    """Return how long infusions took, and of how many that is not known."""
    duration = exposure.duration
    if duration is None:
        return ""
    unknown = "; ".join(f"{plain(reason)}: {count(number)}" for reason, number in duration.unknown.items())
    untold = (
        f" Not known of {plural(sum(duration.unknown.values()), 'infusion')} ({unknown})." if unknown else ""
    )
    if not duration.known:
        return f"Infusion time: not known of any infusion ({unknown})." if unknown else ""
    return (
        f"Infusion time: median {brief(duration.median)} minutes (range {brief(duration.min)}\N{EN DASH}"
        f"{brief(duration.max)}) in {plural(duration.known, 'infusion')}.{untold}"
    )
