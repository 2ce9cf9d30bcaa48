"""Tables of what was seen around infusions."""

from fhiradapter.reports.formats import count, day, number, plain, units
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural, sentence
from fhiradapter.results import Results, SpecialEvent


def reaction_sentences(results: Results) -> tuple[str, ...]:
    """Return how many infusions have a candidate, and what could not be looked at."""
    found = results.safety.reactions
    if found is None:
        return ()
    unread = ", ".join(map(plain, found.not_read))
    missing = "; ".join(
        f"{plain(reason)}: {count(number_of)}" for reason, number_of in found.not_placed.items()
    )
    if not found.infusions_checked:
        return ("There was no infusion to look around.",)
    return (
        f"{plural(found.infusions, 'infusion')} of {found.infusions_checked:,} in "
        f"{plural(found.subjects, 'subject')} have something that a person should look at. These are "
        "candidates for review and not events.",
        *((f"Never read, so not looked at: {unread}.",) if unread else ()),
        *((f"Not placed: {missing}.",) if missing else ()),
        sentence(plain(found.rule)),
    )


def reaction_table(results: Results) -> Table | None:
    """Return the candidates by subject and infusion."""
    found = results.safety.reactions
    if found is None or not found.candidates:
        return None
    return Table(
        caption="Candidates for infusion reactions, for review",
        columns=(
            *words("Subject"),
            *numbers("Infusion"),
            *words("Seen", "What"),
            *numbers("Date", "Hours after start"),
        ),
        rows=tuple(
            (
                plain(part.subject_id),
                day(part.infusion_on),
                label(plain(part.trigger)),
                units(sentence(label(plain(part.what))).removesuffix(".")),
                day(part.on),
                number(part.hours, decimals=1),
            )
            for part in found.candidates[:LONGEST]
        ),
        remarks=(
            *remainder(found.candidates, "candidate"),
            "Without hours: a time of day is missing, and the day allows it.",
        ),
    )


def special_table(results: Results) -> Table | None:
    """Return the adverse events of special interest."""
    events = results.safety.special_interest
    if not events:
        return None
    return Table(
        caption="Adverse events of special interest",
        columns=(
            *words("Subject", "Term", "Kind"),
            *numbers("Grade", "Date", "Hours after infusion"),
            *words("Inside its window"),
        ),
        rows=tuple(
            (
                plain(event.subject_id),
                plain(event.term),
                label(plain(event.kind)),
                count(event.grade),
                day(event.started_on),
                number(event.hours, decimals=1),
                _inside(event),
            )
            for event in events[:LONGEST]
        ),
        remarks=(
            *remainder(events, "event"),
            "Hours are the fewest that can lie between the start of an infusion and the event.",
        ),
    )


def _inside(event: SpecialEvent) -> str:
    if event.window is None:
        return "no window"
    if event.inside is None:
        return f"not known ({plain(event.window)})"
    return f"{'yes' if event.inside else 'no'} ({plain(event.window)})"
