"""Naming: what a unit is called in the ledger, with nothing about anybody in it."""

from fhiradapter.fhir.units import Unit


def name_of(unit: Unit) -> str:
    """Return a unit's name.

    >>> name_of(Unit("ehr", "Condition", "", "reread", "5feceb66ffc86f38"))
    'Condition/reread/5feceb66ffc86f38'
    """
    window = f"/{unit.since or ''}..{unit.until or ''}" if unit.feed == "updated" else ""
    return f"{unit.type}/{unit.feed}/{unit.shard}{window}"


def named(unit: Unit) -> Unit:
    """Return a unit with its name."""
    return unit._replace(name=name_of(unit))
