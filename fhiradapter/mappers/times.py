"""Times: dateTimes of many resources at once, as far as each is plain: a day, a time of day, an offset.

Whatever else a text may be (a date alone, a leap second, the year 9999) is left to the reader of single ones.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.dates import DateReader
from fhiradapter.mappers.columns import DAY, TEXT, constant
from fhiradapter.mappers.context import Context

INSTANT = pa.timestamp("us", tz="UTC")
MICROSECONDS_A_DAY = 86_400_000_000
EARLIEST = -1_893_456_000_000_000  # 1910-01-01: a date before it may stand for "unknown"
PRECISION = "second"

_offset = itemgetter(slice(19, None))
_separator = itemgetter(slice(10, 11))


class Times(NamedTuple):
    """Plain dateTimes, as texts and as instants; both are null where nothing was sent."""

    texts: pa.Array
    at: pa.Array
    offsets: frozenset[str]

    @property
    def micros(self) -> npt.NDArray[np.int64]:
        """Instants as microseconds since 1970; what stands for a null has no meaning."""
        values = self.at.view(pa.int64())
        micros: npt.NDArray[np.int64] = pc.fill_null(values, 0).to_numpy()
        return micros

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """True where nothing was sent."""
        mask: npt.NDArray[np.bool_] = self.at.is_null().to_numpy(zero_copy_only=False)
        return mask


def read_times(texts: Sequence[str | None], context: Context) -> Times | list[bool]:
    """Return the times, or, when not all are plain and in the past, which of them are.

    Every text of those that are is read without a remark by the reader of single ones.
    """
    dates = context.dates
    sent = [text for text in texts if text is not None]
    offsets = frozenset(map(_offset, sent))
    if not (set(map(_separator, sent)) <= {"T"} and offsets <= dates.offsets.keys()):
        return [text is None or _is_plain(text, dates) for text in texts]
    column = pa.array(texts, TEXT)
    try:
        found = Times(column, column.cast(INSTANT), offsets)
    except pa.ArrowInvalid:
        return [text is None or _castable(text) for text in texts]
    micros = found.micros
    if found.at.null_count:
        micros = micros[~found.missing]
    if len(micros) and (micros.min() < EARLIEST or micros.max() > context.now):
        inside = (found.micros >= EARLIEST) & (found.micros <= context.now)
        wanted: list[bool] = (inside | found.missing).tolist()
        return wanted
    return found


def time_columns(times: Times, dates: DateReader) -> list[pa.Array]:
    """Return the four columns of a time: instant, precision, local day, and the text as sent."""
    precision = constant(PRECISION, len(times.at))
    if times.at.null_count:
        precision = pc.if_else(times.at.is_valid(), precision, constant(None, len(times.at)))
    return [times.at, precision, _days(times, dates), times.texts]


def _days(times: Times, dates: DateReader) -> pa.Array:
    if dates.zone is not None:
        local = times.at.cast(pa.timestamp("us", tz=dates.zone.key))
        return pc.local_timestamp(local).cast(DAY)
    if times.offsets <= {"Z"} and not times.at.null_count:
        return pa.array((times.micros // MICROSECONDS_A_DAY).astype(np.int32)).view(DAY)
    return pc.utf8_slice_codeunits(times.texts, 0, 10).cast(DAY)


def _is_plain(text: str, dates: DateReader) -> bool:
    return text[10:11] == "T" and text[19:] in dates.offsets


def _castable(text: str) -> bool:
    try:
        pa.scalar(text, TEXT).cast(INSTANT)
    except pa.ArrowInvalid:
        return False
    return True
