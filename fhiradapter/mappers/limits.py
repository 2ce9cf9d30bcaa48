"""Limits of normal: reference ranges in the concept's unit."""

import msgspec

from fhiradapter.fhir.datatypes import Quantity, ReferenceRange
from fhiradapter.mappers.codes import Coded, first_code
from fhiradapter.mappers.quantities import NO_LIMITS, Limits, QuantityReader, UnitUse
from fhiradapter.mappers.remembered import CAPACITY, Remembered


class LimitReader:
    """Reads reference ranges, each distinct one once per code and unit."""

    def __init__(self, quantities: QuantityReader) -> None:
        self._quantities = quantities
        self._ranges: Remembered[ReferenceRange | bool] = Remembered(list[ReferenceRange] | None, _chosen)

    def read(
        self, raw: msgspec.Raw, coded: Coded, use: UnitUse | None, sent: Quantity | None, path: str
    ) -> Limits:
        """Return lower and upper limit; a limit without a unit is in the unit of the value."""
        if use is None:
            use = self._quantities.use(coded, None, None, None)
        key = b"" + raw
        known = use.limits.get(key)
        if known is None:
            if len(use.limits) >= CAPACITY:
                use.limits.clear()
                use.limits[b""] = NO_LIMITS
            known = use.limits[key] = self._read(raw, coded, sent, path)
        return known

    def _read(self, raw: msgspec.Raw, coded: Coded, sent: Quantity | None, path: str) -> Limits:
        chosen = self._ranges.read(raw, path)
        if not isinstance(chosen, ReferenceRange):
            return NO_LIMITS
        return self._limit(chosen.low, coded, sent, path), self._limit(chosen.high, coded, sent, path)

    def _limit(self, limit: Quantity | None, coded: Coded, sent: Quantity | None, path: str) -> float | None:
        if limit is None:
            return None
        if limit.unit is None and limit.code is None and sent is not None:
            limit = msgspec.structs.replace(limit, unit=sent.unit, system=sent.system, code=sent.code)
        return self._quantities.limit(limit, coded, path)


def _chosen(ranges: list[ReferenceRange] | None) -> ReferenceRange | bool:
    """Return the one range of normal; one for a group of people (`appliesTo`) only when it is alone."""
    found = [one for one in ranges or () if one.type is None or first_code(one.type) == "normal"]
    if len(found) > 1:
        found = [one for one in found if not one.applies_to]
    return found[0] if len(found) == 1 else False
