"""What was not read makes a run partial, until a later run has read it (synthetic)."""

from pathlib import Path

import pytest
from stores import NOW, fetched, opened, unit

from fhiradapter.errors import AccountingError
from fhiradapter.fhir.units import Failure, Fetched
from fhiradapter.reasons import Reason


def finished(folder: Path, run: str, *parts: Fetched) -> tuple[str, list[str]]:
    """Make a run of some units; return its outcome, and the names of what is still to be read."""
    with opened(folder, run=run) as store:
        if parts:
            store.commit(parts)
        return store.finish_run(now=NOW), [one.name.rpartition("/")[2] for one in store.failed_units()]


def test_a_failed_half_is_made_good_by_a_run_that_asks_in_other_portions(tmp_path: Path) -> None:
    """Its Patients are asked for again under another name; while one of the type fails, that one is told."""
    half = Fetched(unit("Observation", "half", patients=("a",)), failure=Failure(Reason.SERVER_FAILED, 500))
    other = Fetched(unit("Observation", "other", patients=("a", "b")), failure=Failure(Reason.DEADLINE))
    assert finished(tmp_path, "run-1", half) == ("partial", ["half"])
    # A run that reads another type says nothing of this one.
    assert finished(tmp_path, "run-2", fetched("Condition")) == ("complete", ["half"])
    done = fetched("Observation", name="rest")
    assert finished(tmp_path, "run-3", done, other) == ("partial", ["other"])
    assert finished(tmp_path, "run-4", done) == ("complete", [])


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [(Reason.NOT_OFFERED, "complete"), (Reason.FORBIDDEN, "partial"), (Reason.SERVER_FAILED, "partial")],
)
def test_a_type_that_was_not_let_be_read_is_missed(reason: Reason, outcome: str, tmp_path: Path) -> None:
    """What a server does not have is no loss; what it has and keeps back is."""
    with opened(tmp_path) as store:
        store.plan((), excluded={unit("AdverseEvent"): str(reason)})
        assert store.finish_run(now=NOW) == outcome


def states(folder: Path) -> dict[str, str]:
    """Return the state of every unit in the ledger, by the end of its name, from another opening."""
    with opened(folder, run=None) as store:
        rows = store.database.rows("SELECT name, state FROM base.units")
    return {name.rpartition("/")[2]: state for name, state in rows}


def test_what_a_run_planned_is_in_the_ledger_also_when_it_was_broken_off(tmp_path: Path) -> None:
    """Two units are planned, and the run breaks off before any is read, or after one is."""
    read, unread = fetched("Observation", name="read"), fetched("Observation", name="unread")
    with opened(tmp_path / "early") as store:
        store.plan([read.unit, unread.unit])
    assert states(tmp_path / "early") == {"read": "planned", "unread": "planned"}
    with opened(tmp_path / "late") as store:
        store.plan([read.unit, unread.unit])
        store.plan([unread.unit])
        store.commit([read])
        assert store.database.rows("SELECT count(*) FROM base.units") == [(2,)]
        with pytest.raises(AccountingError, match="1 planned units"):
            store.finish_run(now=NOW)
    assert states(tmp_path / "late") == {"read": "done", "unread": "planned"}
    with opened(tmp_path / "late", run="run-2") as store:
        store.plan([read.unit, unread.unit])
        store.commit([read, unread])
        assert store.finish_run(now=NOW) == "complete"
