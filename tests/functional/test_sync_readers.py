"""While syncs go on, readers see one consistent state each time and meet no lock; all data synthetic."""

import shutil
import threading
from contextlib import closing
from pathlib import Path

from forking import forking
from incoming import observation
from scripted_runs import digest, study_file, study_of
from scripted_server import ScriptedServer, scripted_server
from scripted_ward import Ward, admit
from test_command_line import call

from fhiradapter.store.database import Database
from fhiradapter.store.snapshot import open_snapshot, read_snapshot

READS = 1_000
SUBJECTS = 5
TYPES = ("Patient", "Observation", "Condition", "Encounter")
# What one generation says, by table: its results have its number, and so many events and encounters are new.
SEEN = """
SELECT (SELECT min(value) FROM measurements WHERE resource_id LIKE '%-alt')::INTEGER,
    (SELECT max(value) FROM measurements WHERE resource_id LIKE '%-alt')::INTEGER,
    (SELECT count(*) FROM measurements WHERE resource_id LIKE '%-alt'),
    (SELECT count(*) FROM events), (SELECT count(*) FROM encounters),
    (SELECT sum(count) FROM accounts WHERE resource_type = 'Condition'),
    (SELECT count(*) FROM base.resources WHERE resource_type = 'Encounter' AND state = 'current')"""
BEFORE = 10_000  # the first generation's number


def generation(ward: Ward, number: int) -> None:
    """Give every result the number, and add a condition and an encounter."""
    ward.put(*(observation(f"p{one}-alt", number, f"Patient/p{one}") for one in range(1, SUBJECTS + 1)))
    for kind, key in (("Condition", "p1-condition"), ("Encounter", "p1-visit")):
        ward.put(ward.current[kind, key] | {"id": f"{key}-{number}"})
    ward.wait(minutes=5)


def torn(database: Database) -> tuple[bool, int]:
    """Return whether a state mixes two generations, and which one it is of."""
    low, high, results, *counts = database.rows(SEEN)[0]
    return (low, results, counts) != (high, SUBJECTS, [SUBJECTS + low - BEFORE] * 4), low


def keep_syncing(server: ScriptedServer, path: Path, stop: threading.Event, codes: list[int]) -> None:
    """Run the command again and again, and change the server before each run."""
    with forking() as command:
        number = BEFORE
        while not stop.is_set():
            number += 1
            server.change(lambda ward, number=number: generation(ward, number))  # type: ignore[misc]
            codes.append(command.run("sync", path))
            stop.wait(0.2)  # leaves a single processor to the readers


def test_a_thousand_reads_during_syncs(tmp_path: Path) -> None:
    """Counts and values always agree across tables, accounts and resources, whenever they are read."""
    ward = Ward()
    admit(ward, SUBJECTS)
    ward.put(*(observation(f"p{one}-alt", BEFORE, f"Patient/p{one}") for one in range(1, SUBJECTS + 1)))
    ward.wait(minutes=5)
    with scripted_server(ward) as server:
        path = study_file(server, tmp_path, types=TYPES)
        assert call("sync", path).returncode == 0
        stop, codes = threading.Event(), list[int]()
        writer = threading.Thread(target=keep_syncing, args=(server, path, stop, codes))
        writer.start()
        found, seen = 0, set[int]()
        try:
            for number in range(READS):
                with closing(open_snapshot(tmp_path / "store")) as database:
                    is_torn, one = torn(database)
                found += is_torn
                seen.add(one)
                if number % 100 == 0:
                    cohort = read_snapshot(tmp_path / "store")
                    values = cohort.measurements.loc[lambda rows: rows["resource_id"].str.endswith("-alt")]
                    assert values["value"].nunique() == 1
                    assert len(cohort.encounters) == cohort.accounting["Encounter"].mapped
            assert writer.is_alive()
        finally:
            stop.set()
            writer.join()
    print(f"{READS} reads during {len(codes)} syncs, {len(seen)} states seen, {found} torn, 0 lock errors")
    assert (found, set(codes)) == (0, {0})
    assert len(seen) >= 3


def test_two_syncs_at_once(tmp_path: Path) -> None:
    """The first one goes on to its end as if it were alone; the second one ends at once with 7."""
    ward = Ward()
    admit(ward)
    with scripted_server(ward) as server, forking() as command:
        study, path = study_of(server, tmp_path, types=TYPES), study_file(server, tmp_path, types=TYPES)
        assert command.run("sync", path) == 0
        alone = digest(study, tmp_path / "store")
        shutil.rmtree(tmp_path / "store")
        server.begin(lambda number: "held" if number == 20 else None)
        command.start("sync", path)
        assert server.arrived.wait(30)
        second = call("sync", path)
        assert (second.returncode, second.stdout) == (7, "")
        assert "another run holds the store" in second.stderr
        assert "nanobind" not in second.stderr
        server.released.set()
        assert command.end() == 0
        assert digest(study, tmp_path / "store") == alone
    print("two syncs at once: exit codes 0 and 7")
