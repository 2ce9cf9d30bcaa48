"""Instants: meta.lastUpdated of many resources at once."""

from collections.abc import Sequence

import pyarrow as pa

from fhiradapter.fhir.dates import DateReader

TYPE = pa.timestamp("us", tz="UTC")
_reader = DateReader(None)


def instants(texts: Sequence[str | None]) -> pa.Array:
    """Return FHIR instants as timestamps; one that is none becomes null.

    >>> instants(["2024-03-01T10:00:00+01:00", None, "yesterday"]).null_count
    2
    """
    try:
        return pa.array(texts, pa.string()).cast(TYPE)
    except pa.ArrowInvalid:
        # One text of the batch is unusual: a fraction of nine digits, a leap second, no offset, or no date.
        return pa.array([_reader.read(text).at for text in texts], TYPE)
