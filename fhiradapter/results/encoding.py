"""Results as JSON."""

from typing import Any

import msgspec

from fhiradapter.results.rows import ResultRows


def encoded(value: Any) -> bytes:
    """Return results, or a part of them, as JSON; a missing number is null.

    >>> encoded({"slope": None, "periods": ("before",)})
    b'{"slope":null,"periods":["before"]}'
    """
    return _ENCODER.encode(value)


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, ResultRows):
        return list(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_ENCODER = msgspec.json.Encoder(enc_hook=_as_list)
