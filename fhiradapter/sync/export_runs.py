"""Export runs: what one run does about a source's exports, each committed before its job is forgotten."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fhiradapter.fhir.units import Fetched
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Order
from fhiradapter.sync.exports import Advance, Exports

Commit = Callable[[Fetched], object]
ReadHistory = Callable[[Order], Iterable[Fetched]]


class Ran(NamedTuple):
    """What came of a run's exports."""

    advances: tuple[Advance, ...]
    left: tuple[Order, ...] = ()
    """Orders not begun, as another export is still under way."""


def run_exports(
    exports: Exports,
    plan: Callable[[], Sequence[Order]],
    commit: Commit,
    *,
    read_history: ReadHistory | None = None,
    wait: float | None = None,
) -> Ran:
    """Go on with the export under way, then do those of `plan`, which is asked once that one is committed.

    `commit` takes what is handed on, one at a time, and has it in the store when it returns. Where a server
    refuses an export of some Patients, `read_history` reads new members' resources by searches.
    """
    advances: list[Advance] = []
    held = exports.advance(wait=wait)
    if held is not None:
        advances.append(held)
        _hand_on(exports, held, commit)
        if not held.over:
            return Ran(tuple(advances), tuple(order for order in plan() if not _is_same(order, held)))
    orders = [
        order for order in plan() if held is None or held.failure is not None or not _is_same(order, held)
    ]
    for number, order in enumerate(orders):
        exports.begin(order)
        advance = exports.advance(wait=wait)
        if advance is None:
            continue
        advances.append(advance)
        if _is_refused_history(advance, order) and read_history is not None:
            for fetched in read_history(order):
                commit(fetched)
            exports.committed(advance)
            continue
        _hand_on(exports, advance, commit)
        if not advance.over:
            return Ran(tuple(advances), tuple(orders[number + 1 :]))
    return Ran(tuple(advances))


def _hand_on(exports: Exports, advance: Advance, commit: Commit) -> None:
    for fetched in exports.fetched(advance):
        commit(fetched)
    if advance.over:
        exports.committed(advance)


def _is_same(order: Order, advance: Advance) -> bool:
    """Return True when an export has just done what is ordered."""
    export = advance.export
    return order.shard == export.shard and set(order.request.types) <= set(export.request.types)


def _is_refused_history(advance: Advance, order: Order) -> bool:
    refused = {Reason.QUERY_REFUSED, Reason.NOT_OFFERED}
    failure = advance.failure
    return bool(order.request.patients) and advance.over and failure is not None and failure.reason in refused
