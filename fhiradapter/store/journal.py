"""Journals: one file per commit that says what was in it, each with the digest of the one before."""

import hashlib
from pathlib import Path

import msgspec

from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.units import Absence
from fhiradapter.store.disk import Disk
from fhiradapter.store.raw import PART, RawFile

SUFFIX = ".json"
DIGITS = 8
UNCOMMITTED = "uncommitted"


class UnitRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit and what came of it."""

    source: str
    type: str
    name: str
    feed: str
    shard: str
    patients: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    state: str = "done"
    reason: str | None = None
    status: int | None = None
    received: int = 0
    watermark: str | None = None
    warnings: tuple[str, ...] = ()


class TombstoneRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A resource that its server does not show any more."""

    source: str
    type: str
    id: str
    state: Absence
    at: str | None = None


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """One commit; `now` is the moment of its run, microseconds since 1970."""

    number: int
    run_id: str
    now: int
    previous: str
    units: list[UnitRecord]
    files: list[RawFile]
    tombstones: list[TombstoneRecord]
    copies: dict[str, dict[str, int]]
    """Source and type to the number of resources that were known already and not written again."""
    shown: list[tuple[str, str, str]] = []
    """(source, type, id) of resources that were hidden and came again as they were."""
    again: list[tuple[str, str, str]] = []
    """(source, type, id) of resources that were mapped again without having changed."""


def stem(number: int) -> str:
    """Return what the names of a commit's files begin with."""
    return f"{number:0{DIGITS}d}"


def run_folder(raw: Path, run_id: str, disk: Disk) -> Path:
    """Return the folder of a run's files, whose own name has reached the disk."""
    folder = raw / run_id
    if not folder.is_dir():
        disk.make_folder(folder)
        disk.sync_folder(raw)
    return folder


def write_journal(raw: Path, journal: Journal, disk: Disk) -> str:
    """Bring a journal to the disk, after its raw files, and return its digest."""
    content = msgspec.json.format(msgspec.json.encode(journal), indent=1) + b"\n"
    path = run_folder(raw, journal.run_id, disk) / (stem(journal.number) + SUFFIX)
    part = path.with_name(path.name + PART)
    file = disk.create(part)
    try:
        disk.write(file, content)
    except BaseException:
        file.close()
        raise
    disk.finish(file)
    disk.sync_folder(path.parent)  # the raw files have their names before the journal has its own
    disk.rename(part, path)
    disk.sync_folder(path.parent)
    return hashlib.sha256(content).hexdigest()


def read_journals(raw: Path) -> list[tuple[Journal, str]]:
    """Return all journals in order with their digests.

    Raises FhirAdapterError when one is missing, was changed, or does not follow on the one before.
    """
    found = {}
    for path in raw.glob(f"*/*{SUFFIX}"):
        content = path.read_bytes()
        try:
            journal = msgspec.json.decode(content, type=Journal)
        except msgspec.MsgspecError as error:
            raise FhirAdapterError(f"raw/{path.relative_to(raw)}: is no journal of a store") from error
        found[journal.number] = (journal, hashlib.sha256(content).hexdigest())
    ordered = [found[number] for number in sorted(found)]
    previous = ""
    for number, (journal, digest) in enumerate(ordered, 1):
        if journal.number != number or journal.previous != previous:
            raise FhirAdapterError(
                f"raw/{journal.run_id}/{stem(journal.number)}{SUFFIX}: does not follow on the one before it"
            )
        previous = digest
    return ordered


def set_aside_uncommitted(raw: Path, committed: int, disk: Disk, *, new: bool = False) -> int:
    """Set aside what an interrupted run wrote and did not commit; its units will be read again.

    Returns the number of files. Raises FhirAdapterError when the raw files are further on than the database
    by more than one commit, or the database is `new`, which no interruption does.
    """
    journals: list[Path] = []
    loose: list[Path] = []
    for folder in raw.iterdir():
        if not folder.is_dir():
            continue
        for path in folder.iterdir():
            if path.name.endswith(PART):
                disk.remove(path)
            elif path.is_file() and int(path.name[:DIGITS]) > committed:
                (journals if path.suffix == SUFFIX else loose).append(path)
    if len(journals) > 1 or (new and journals):
        raise FhirAdapterError(
            f"{raw.parent}: the database is older than the raw files; make it anew with `fhiradapter rebuild`"
        )
    for path in (*journals, *loose):
        folder = path.parent / UNCOMMITTED
        disk.make_folder(folder)
        attempt = sum(1 for _ in folder.glob(f"*-{path.name}"))
        disk.rename(path, folder / f"{attempt + 1}-{path.name}")
    return len(journals) + len(loose)
