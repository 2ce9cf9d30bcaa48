"""FHIR dates: text to the earliest instant that fits, how much was given, and the local day."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

SECOND = 1_000_000  # instants are counted in microseconds since 1970-01-01T00:00Z
DAY = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - arithmetic in local clock time, before an offset is applied
QUARTER = 900 * SECOND  # no zone of the IANA database has changed its offset off a quarter hour since 1972
MEMORY = 20_000  # distinct texts of each kind that are remembered before the memory starts afresh

# Systems that cannot store "unknown" store the first day that they can, so it says nothing about time.
SENTINELS = frozenset({"1900-01-01", "1800-01-01", "1753-01-01", "0001-01-01"})

YEAR = re.compile(r"(\d{4})\Z", re.ASCII)
MONTH = re.compile(r"(\d{4})-(\d\d)\Z", re.ASCII)
CLOCK = re.compile(r"(\d\d):(\d\d)(?::(\d\d))?\Z", re.ASCII)
REMAINDER = re.compile(r"(?:\.(\d+))?(Z|z|[+-]\d\d:\d\d)?\Z", re.ASCII)
LONGEST_OFFSET = 14 * 3600  # +14:00 is the largest in use and the largest that FHIR allows


class Moment(NamedTuple):
    """A date as sent; `at` and `day` are null when the text says less."""

    at: int | None = None
    """Earliest instant that fits the text, microseconds since 1970-01-01T00:00Z."""
    precision: str | None = None
    """year, month, day or second."""
    day: int | None = None
    """Local day, days since 1970-01-01; only when at least the day was given."""
    text: str | None = None
    """The text as sent."""


NEVER = Moment()
new_tuple = tuple.__new__  # a third of the cost of a NamedTuple's own constructor


class DateReader:
    """Reads dates in one source's time zone, which is for texts without an offset and for local days.

    >>> moment = DateReader("America/New_York").read("2024-03-02T04:30:00Z")
    >>> date.fromordinal(moment.day + EPOCH_DAY).isoformat()
    '2024-03-01'
    >>> DateReader(None).read("2020").day is None
    True
    """

    def __init__(self, time_zone: str | None) -> None:
        self.zone = ZoneInfo(time_zone) if time_zone else None
        self._days: dict[str, int] = {}
        self._minutes: dict[str, int] = {}
        self._seconds: dict[str, int] = {}
        self.offsets: dict[str, int] = {"Z": 0}
        self._zone_offsets: dict[int, int] = {}
        self.known: dict[str | None, Moment] = {}
        self.remarks: dict[str | None, str] = {}

    def read(self, text: str | None) -> Moment:
        """Return the moment that a FHIR date, dateTime or instant says; never raises.

        What is odd about the text is in `remarks` afterwards: no_zone, open_ended, sentinel or invalid.
        """
        known = self.known.get(text)
        if known is not None:
            return known
        if text is None:
            return NEVER
        if len(self.known) >= MEMORY:
            self.known.clear()
            self.remarks.clear()
        moment = self.known[text] = self._from_parts(text) or self._parse(text)
        return moment

    def _from_parts(self, text: str) -> Moment | None:
        """Put a dateTime together from a day, a time of day and an offset that each were seen before."""
        try:
            seconds = self._days[text[:10]] + self._minutes[text[10:16]] + self._seconds[text[16:19]]
            offset = self.offsets[text[19:]]
        except KeyError:
            return None
        seconds -= offset
        if self.zone is not None:
            offset = self._zone_offset(seconds * SECOND)
        return new_tuple(Moment, (seconds * SECOND, "second", (seconds + offset) // DAY, text))

    def _parse(self, sent: str) -> Moment:
        text = sent.strip()
        if text[:4] == "9999":
            self.remarks[sent] = "open_ended"
            return Moment(text=sent)
        if text[:10] in SENTINELS:
            self.remarks[sent] = "sentinel"
            return Moment(text=sent)
        try:
            if len(text) <= 10:
                return self._parse_date(text, sent)
            return self._parse_date_time(text, sent)
        except (ValueError, OverflowError):
            self.remarks[sent] = "invalid"
            return Moment(text=sent)

    def _parse_date(self, text: str, sent: str) -> Moment:
        if match := YEAR.match(text):
            day, precision = date(int(match[1]), 1, 1), "year"
        elif match := MONTH.match(text):
            day, precision = date(int(match[1]), int(match[2]), 1), "month"
        else:
            day, precision = _calendar_day(text), "day"
        number = day.toordinal() - EPOCH_DAY
        at = number * DAY * SECOND
        if self.zone is not None:
            at -= _offset_of(datetime(day.year, day.month, day.day, tzinfo=self.zone)) * SECOND
        return Moment(at, precision, number if precision == "day" else None, sent)

    def _parse_date_time(self, text: str, sent: str) -> Moment:
        if text[10] not in "Tt ":
            raise ValueError("no T between date and time")
        split = 16 if text[16:17] != ":" else 19
        day = _calendar_day(text[:10]).toordinal() - EPOCH_DAY
        clock = _seconds(text[11:split])
        match = REMAINDER.match(text[split:])
        if not match:
            raise ValueError("neither a fraction nor an offset")
        fraction = int((match[1] or "0")[:6].ljust(6, "0"))
        if match[2]:
            offset = _offset(match[2])
        else:
            # FHIR requires an offset with a time; systems that store local time leave it out.
            self.remarks[sent] = "no_zone"
            local = EPOCH + timedelta(days=day, seconds=clock)
            offset = _offset_of(local.replace(tzinfo=self.zone)) if self.zone is not None else 0
        if not fraction and match[2] and split == 19 and text[10] == "T":
            self._remember(text, day, clock, offset)
        at = (day * DAY + clock - offset) * SECOND + fraction
        local_offset = self._zone_offset(at) if self.zone is not None else offset
        return Moment(at, "second", (at // SECOND + local_offset) // DAY, sent)

    def _remember(self, text: str, day: int, clock: int, offset: int) -> None:
        if text[17:19] == "60" or text[11:13] == "24":
            return
        if len(self._days) > MEMORY:
            self._days.clear()
        self._days[text[:10]] = day * DAY
        self._minutes[text[10:16]] = clock - clock % 60
        self._seconds[text[16:19]] = clock % 60
        self.offsets[text[19:]] = offset

    def _zone_offset(self, at: int) -> int:
        quarter = at // QUARTER
        offset = self._zone_offsets.get(quarter)
        if offset is None:
            if len(self._zone_offsets) > MEMORY:
                self._zone_offsets.clear()
            moment = (EPOCH + timedelta(microseconds=quarter * QUARTER)).replace(tzinfo=UTC)
            offset = self._zone_offsets[quarter] = _offset_of(moment.astimezone(self.zone))
        return offset


def _calendar_day(text: str) -> date:
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        raise ValueError("not YYYY-MM-DD")
    return date(int(text[:4]), int(text[5:7]), int(text[8:10]))


def _seconds(clock: str) -> int:
    """Return seconds since midnight; 24:00:00 is the next midnight, a leap second stays in its own day."""
    match = CLOCK.match(clock)
    if not match:
        raise ValueError("not hh:mm:ss")
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        raise ValueError("no such time of day")
    return hour * 3600 + minute * 60 + min(second, 59)


def _offset(text: str) -> int:
    if text in "Zz":
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[4:6]) * 60
    if seconds > LONGEST_OFFSET or int(text[4:6]) > 59:
        raise ValueError("no such offset")
    return -seconds if text[0] == "-" else seconds


def _offset_of(moment: datetime) -> int:
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
