"""Choosing: which types exports read where no setting names a feed."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import Offers
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.export_plans import request_of
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.membership import Membership
from fhiradapter.sync.reading import PATIENT_TYPE

# A server takes minutes to hours for an export of whatever size, and some hundreds of searches take minutes:
# below that nobody should wait for a job. Above it one job spares the server thousands of searches.
MOST_REQUESTS = 500
RULE = (
    "Where no setting names a feed, a type is read by exports when the server exports the cohort (its Group,"
    f" or everybody), the scopes cover the type, and searches would need more than {MOST_REQUESTS} requests:"
    " always where `_lastUpdated` cannot be relied on, else for the first reading alone."
)


class Exportable(NamedTuple):
    """What exports may read."""

    offers: Offers | None = None
    """Null: what the server says."""
    denied: frozenset[str] = frozenset()
    """Types that no granted scope covers."""


def chosen(
    abilities: Mapping[str, Ability],
    exportable: Exportable | None,
    server: Server,
    membership: Membership,
    *,
    patients: int | None,
    first: Collection[str],
) -> dict[str, Ability]:
    """Return abilities with exports where they are the best, by `RULE`, each with why or why not.

    `patients` are how many searches would read one after the other; null: not known. `first` are the types of
    which everything is to be read now.
    """
    found = {kind: as_searched(ability) for kind, ability in abilities.items()}
    offers = exportable.offers if exportable is not None else None
    if exportable is None or offers is None or not offers.levels:
        return found
    everyone = found[PATIENT_TYPE].total if PATIENT_TYPE in found else None
    for kind, ability in found.items():
        if kind in LOOKED_UP or kind in server.feeds:
            continue
        size = requests(ability, server, patients=patients, everyone=everyone)
        denied = kind in exportable.denied
        obstacle = _obstacle(kind, ability, offers, server, membership, denied=denied)
        if obstacle is None and ability.feed == "updated" and kind not in first:
            obstacle = "searches tell what changed"
        if obstacle is None and ability.feed is not None and size <= MOST_REQUESTS:
            obstacle = f"searches need about {size:,} requests"
        if obstacle is not None:
            found[kind] = msgspec.structs.replace(ability, choice=f"no export: {obstacle}")
            continue
        choice = (
            f"searches would need about {size:,} requests" if ability.feed is not None else "exports are not"
        )
        if ability.feed == "updated":
            choice += ", so the first reading is an export"
        found[kind] = as_chosen(ability, choice)
    return found


def requests(ability: Ability, server: Server, *, patients: int | None, everyone: int | None) -> int:
    """Return about how many requests it takes to read a type in full by searches.

    Each search takes one at least; pages are counted where the server told how many resources there are, of
    which a cohort of `patients` has its share.
    """
    searches = 1
    if patients is not None and (ability.feed == "reread" or not ability.everything):
        at_once = server.patients_at_once if ability.several else 1
        searches = -(-patients // at_once) * max(1, len(ability.categories))
    size = ability.page_size or server.page_size
    total = ability.total or 0
    share = min(1.0, patients / everyone) if patients is not None and everyone else 1.0
    return max(searches, round(total * share / size))


def as_chosen(ability: Ability, choice: str) -> Ability:
    """Return an ability that is read by exports."""
    return msgspec.structs.replace(ability, feed="bulk", searched=ability.feed, chosen=True, choice=choice)


def as_searched(ability: Ability) -> Ability:
    """Return an ability as it is without a choice."""
    feed = ability.searched if ability.chosen else ability.feed
    return msgspec.structs.replace(ability, feed=feed, searched=None, chosen=False, choice=None)


def _obstacle(
    kind: str, ability: Ability, offers: Offers, server: Server, membership: Membership, *, denied: bool
) -> str | None:
    """Return why a type cannot be left to exports."""
    cohort, export = server.cohort, server.export
    if membership.patients is not None and cohort.group is None:
        return "exports are of a Group or of everybody"  # few servers take a list of Patients
    if export.type_filters or export.elements:
        return "the settings of exports leave something out"
    asked = request_of(server, (kind,), offers)
    if asked is None or (asked.level == "group") != (cohort.group is not None):
        return f"the server exports no {'Group' if cohort.group is not None else 'Patients without a Group'}"
    if denied:
        return "no scope covers the type"
    if ability.refused in {Reason.FORBIDDEN, Reason.NOT_OFFERED}:
        return "the server does not let it be read"
    return "the server did not export it" if ability.exported is False else None
