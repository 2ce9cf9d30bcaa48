"""ResearchSubject: one event of kind enrolment, with the arm that a person was in."""

from fhiradapter.fhir.elements import ResearchSubject
from fhiradapter.fhir.references import Kind, reference_text, target_of
from fhiradapter.mappers.codes import first_code
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import resolve, subject_of
from fhiradapter.mappers.moments import columns, moment, period
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, row
from fhiradapter.reasons import Reason

RULE = "research_subject/1"
STATES = frozenset(
    {
        "candidate",
        "eligible",
        "follow-up",
        "ineligible",
        "not-registered",
        "off-study",
        "on-study",
        "on-study-intervention",
        "on-study-observation",
        "pending-on-study",
        "potential-candidate",
        "screening",
        "withdrawn",
        "enrolled",  # STU3
        "active",  # STU3
        "suspended",  # STU3
        "completed",  # STU3
    }
)
# R5 gave `status` another meaning: the state of the record and not of the person, who has `progress`.
IN_FORCE = frozenset({"active"})
NOT_IN_FORCE = frozenset({"draft", "retired", "unknown"})


def map_research_subject(enrolment: ResearchSubject, context: Context) -> Mapped:
    """Return the enrolment of a ResearchSubject; R5 names an arm by its id within the ResearchStudy."""
    notes: list[Note] = []
    status = _status(enrolment, context, notes)
    path = "ResearchSubject.individual" if enrolment.subject is None else "ResearchSubject.subject"
    subject = subject_of(enrolment.individual or enrolment.subject, enrolment, context, path, notes)
    assigned = _arm(enrolment.assigned_arm or enrolment.assigned_comparison_group)
    values: dict[str, object] = {
        "kind": "enrolment",
        "status": status,
        "term": _arm(enrolment.actual_arm or enrolment.actual_comparison_group) or assigned,
        "assigned_arm": assigned,
        "study": _study(enrolment, context, notes),
    }
    if enrolment.period is not None:
        when = period(enrolment.period, context, "ResearchSubject.period", notes)
        values |= columns("started", when.start) | columns("ended", when.end)
    return Mapped(subject, [row("events", **values)], notes)


def _status(enrolment: ResearchSubject, context: Context, notes: list[Note]) -> str | None:
    """Return the person's state in the study: in R5 the one of `progress` that began last."""
    newer = (
        enrolment.subject,
        enrolment.progress,
        enrolment.assigned_comparison_group,
        enrolment.actual_comparison_group,
    )
    if all(element is None for element in newer):
        return usable_status(enrolment.status, STATES, frozenset(), "ResearchSubject.status")
    usable_status(enrolment.status, IN_FORCE, NOT_IN_FORCE, "ResearchSubject.status")
    states = [
        (moment(step.start_date, context, f"ResearchSubject.progress[{place}].startDate", notes).at, state)
        for place, step in enumerate(enrolment.progress or ())
        if (state := first_code(step.subject_state))
    ]
    # Without dates the last one in the list.
    return max(enumerate(states), key=lambda each: (each[1][0] or 0, each[0]))[1][1] if states else None


def _arm(sent: str | None) -> str | None:
    return (sent or "").strip() or None


def _study(enrolment: ResearchSubject, context: Context, notes: list[Note]) -> str | None:
    """Return the study as 'ResearchStudy/id', as the URL of another server, or as an identifier."""
    path = "ResearchSubject.study"
    if target_of(enrolment.study).kind in (Kind.MISSING, Kind.IDENTIFIER):
        named = reference_text(enrolment.study)  # a registry number is no secret, unlike a person's
        if named is None:
            notes.append(Note(Reason.NOT_CONFORMANT, path))
        return named
    link = resolve(enrolment.study, enrolment, context, path, notes, expected="ResearchStudy")
    if link is None or link.id.startswith(("http://", "https://", "urn:")):
        return link.id if link else None
    return f"{link.type or 'ResearchStudy'}/{link.id}"
