"""Moments: effective[x], occurrence[x] and other times of a resource, with what is odd about them."""

from typing import NamedTuple

from fhiradapter.fhir.datatypes import Period, Timing
from fhiradapter.fhir.dates import NEVER, Moment
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.outcome import Note
from fhiradapter.reasons import Reason

REMARKS = {
    "invalid": Reason.INVALID_DATE,
    "no_zone": Reason.NO_ZONE,
    "open_ended": Reason.OPEN_ENDED,
    "sentinel": Reason.SENTINEL_DATE,
}


class Span(NamedTuple):
    """A time with its start and end; a point in time has no end."""

    start: Moment
    end: Moment


def moment(text: str | None, context: Context, path: str, notes: list[Note]) -> Moment:
    """Return a date as an instant, its precision and its local day."""
    dates = context.dates
    read = dates.known.get(text) or dates.read(text)
    if text in dates.remarks:
        notes.append(Note(REMARKS[dates.remarks[text]], path))
    at = read[0]
    if at is not None and at > context.now:
        notes.append(Note(Reason.FUTURE_DATE, path))
    return read


def period(sent: Period, context: Context, path: str, notes: list[Note]) -> Span:
    """Return a period; a missing start stays missing."""
    start = moment(sent.start, context, f"{path}.start", notes)
    end = moment(sent.end, context, f"{path}.end", notes)
    if start.text is None and end.text is not None:
        notes.append(Note(Reason.END_ONLY, path))
    if start.at is not None and end.at is not None and latest(end) < start.at:
        notes.append(Note(Reason.END_BEFORE_START, path))
    return Span(start, end)


def timing(sent: Timing, context: Context, path: str, notes: list[Note]) -> Span:
    """Return the first event of a timing, else the bounds of its repeat."""
    if sent.event:
        if len(sent.event) > 1:
            notes.append(Note(Reason.SEVERAL_VALUES, f"{path}.event"))
        return Span(moment(sent.event[0], context, f"{path}.event[0]", notes), NEVER)
    if sent.repeat and sent.repeat.bounds_period:
        return period(sent.repeat.bounds_period, context, f"{path}.repeat.boundsPeriod", notes)
    return Span(NEVER, NEVER)


def span(
    text: str | None,
    sent_period: Period | None,
    sent_timing: Timing | None,
    context: Context,
    path: str,
    notes: list[Note],
) -> Span:
    """Return the time that one of dateTime, Period and Timing gives; notes when there is none, or several."""
    if sum(sent is not None for sent in (text, sent_period, sent_timing)) > 1:
        notes.append(Note(Reason.SEVERAL_VALUES, path))
    if text is not None:
        found = Span(moment(text, context, path, notes), NEVER)
    elif sent_period is not None:
        found = period(sent_period, context, path, notes)
    elif sent_timing is not None:
        found = timing(sent_timing, context, path, notes)
    else:
        found = Span(NEVER, NEVER)
    if found.start.text is None and found.end.text is None:
        notes.append(Note(Reason.NO_DATE, path))
    return found


def columns(prefix: str, when: Moment) -> dict[str, object]:
    """Return the four columns of a time by name: `started_at`, `started_precision`, ..."""
    return {
        f"{prefix}_at": when.at,
        f"{prefix}_precision": when.precision,
        f"{prefix}_on": when.day,
        f"{prefix}_text": when.text,
    }


def latest(when: Moment) -> int:
    """Return the latest instant that fits, so that an end on a day is not before a start on that day."""
    room = {"year": 366, "month": 31, "day": 1}.get(when.precision or "", 0)
    return (when.at or 0) + room * 86_400_000_000
