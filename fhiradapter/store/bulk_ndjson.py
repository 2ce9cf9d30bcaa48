"""Bulk NDJSON: the resources of a store written as a bulk export is, a file per type and a manifest."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from fhiradapter.errors import UsageError
from fhiradapter.store.disk import Disk

MANIFEST = "manifest.json"
PART = ".part"
AT_ONCE = 1 << 20  # bytes written together
LINES = 1_000_000  # in one file


class Written(NamedTuple):
    """What was written, by type."""

    files: tuple[Path, ...]
    counts: dict[str, int]


class _File:
    def __init__(self, folder: Path, kind: str, number: int, disk: Disk) -> None:
        self.kind, self.number = kind, number
        self.path = folder / (f"{kind}.ndjson" if number == 1 else f"{kind}.{number}.ndjson")
        self.lines = self.bytes = 0
        self.digest = hashlib.sha256()
        self._disk = disk
        self._part = self.path.with_name(self.path.name + PART)
        self._file: BinaryIO = disk.create(self._part)
        self._pending: list[bytes] = []
        self._waiting = 0

    def add(self, content: bytes) -> None:
        self._pending += (content, b"\n")
        self._waiting += len(content) + 1
        self.lines += 1
        if self._waiting >= AT_ONCE:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._disk.finish(self._file)
        self._disk.rename(self._part, self.path)

    def abandon(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        content = b"".join(self._pending)
        self.digest.update(content)
        self.bytes += len(content)
        self._disk.write(self._file, content)
        self._pending, self._waiting = [], 0


def write_bulk(
    resources: Iterable[tuple[str, bytes]],
    folder: Path,
    *,
    transaction_time: datetime,
    request: str = "fhiradapter export --to ndjson",
    lines: int = LINES,
    disk: Disk | None = None,
) -> Written:
    """Write resources, each with its type and on one line, in any order; the manifest comes last.

    `transaction_time` is up to when the store has read all of its sources. The manifest is a Bulk Data one,
    with the name, count and sha256 of each file; paths are relative to it. Raises UsageError when the folder
    holds something already.
    """
    disk = disk or Disk()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is not empty; choose another folder")
    disk.make_folder(folder)
    open_files: dict[str, _File] = {}
    finished: list[_File] = []
    try:
        for kind, content in resources:
            file = open_files.get(kind)
            if file is None or file.lines >= lines:
                number = 1 + sum(done.kind == kind for done in finished) + (file is not None)
                if file is not None:
                    file.finish()
                    finished.append(open_files.pop(kind))
                file = open_files[kind] = _File(folder, kind, number, disk)
            file.add(content)
        for kind in list(open_files):
            open_files[kind].finish()
            finished.append(open_files.pop(kind))
    except BaseException:
        for file in open_files.values():
            file.abandon()
        raise
    finished.sort(key=lambda file: (file.kind, file.number))
    _write_manifest(folder / MANIFEST, finished, transaction_time, request, disk)
    counts: dict[str, int] = {}
    for file in finished:
        counts[file.kind] = counts.get(file.kind, 0) + file.lines
    return Written(tuple(file.path for file in finished), counts)


def _write_manifest(
    path: Path, files: list[_File], transaction_time: datetime, request: str, disk: Disk
) -> None:
    moment = transaction_time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    manifest: dict[str, Any] = {
        "transactionTime": moment,
        "request": request,
        "requiresAccessToken": False,
        "output": [
            {
                "type": file.kind,
                "url": file.path.name,
                "count": file.lines,
                "extension": {"sha256": file.digest.hexdigest(), "bytes": file.bytes},
            }
            for file in files
        ],
        "deleted": [],
        "error": [],
    }
    part = path.with_name(path.name + PART)
    target = disk.create(part)
    try:
        disk.write(target, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    except BaseException:
        target.close()
        raise
    disk.finish(target)
    disk.rename(part, path)
    disk.sync_folder(path.parent)
