"""Export journals: one file per export that only grows, a line for each of its states."""

import os
from pathlib import Path

import msgspec

from fhiradapter.errors import FhirAdapterError
from fhiradapter.sync.export_states import Export, Kept, Landed

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
SUFFIX, PART = ".json", ".part"
KEPT = 200  # journals; at one export a day that is more than half a year


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    export: Export | None = None
    landed: Landed | None = None
    ask_again: str | None = None


_lines = msgspec.json.Decoder(_Line)


class ExportJournals:
    """Keeps exports in a folder that only its owner may enter; implements `export_states.ExportLedger`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: set[str] = set()

    def save(self, export: Export) -> None:
        """Keep a state; it is on the disk when this returns. Of an export that is over only that is kept."""
        self._append(export.id, _Line(export=export), sync=True)
        if export.step == "DELETED":
            self._shorten(export)

    def pause(self, export: Export) -> None:
        """Keep when the server may be asked again; a week of polling makes many such lines."""
        self._append(export.id, _Line(ask_again=export.ask_again), sync=False)

    def land(self, export: Export, landed: Landed) -> None:
        """Keep that a file is here."""
        self._append(export.id, _Line(landed=landed), sync=False)

    def load(self) -> list[Kept]:
        """Return all exports in the order in which they began.

        Raises FhirAdapterError when a journal is damaged elsewhere than in its last line, which an
        interruption may have cut.
        """
        found = [kept for path in self.folder.glob(f"*{SUFFIX}") if (kept := _read(path)) is not None]
        return sorted(found, key=lambda kept: (kept.export.began, kept.export.id))

    def _shorten(self, export: Export) -> None:
        """Leave the last state alone in a journal, and of old journals the newest."""
        path = self.folder / f"{export.id}{SUFFIX}"
        part = path.with_name(path.name + PART)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
        with open(handle, "wb") as file:  # noqa: PTH123 - the handle has its mode from the start
            file.write(msgspec.json.encode(_Line(export=export)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(self.folder)
        journals = sorted(self.folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for old in journals[:-KEPT]:
            kept = _read(old)
            if kept is not None and kept.export.step == "DELETED":
                old.unlink()

    def _append(self, name: str, line: _Line, *, sync: bool) -> None:
        path = self.folder / f"{name}{SUFFIX}"
        is_first = name not in self._opened
        if is_first:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            if is_first:
                _drop_what_was_cut(handle)
            content = msgspec.json.encode(line) + b"\n"
            while content:
                content = content[os.write(handle, content) :]
            if sync:
                os.fsync(handle)
        finally:
            os.close(handle)
        if is_first:
            _sync_folder(self.folder)
            self._opened.add(name)


def _read(path: Path) -> Kept | None:
    export: Export | None = None
    landed: dict[int, Landed] = {}
    for content in path.read_bytes().split(b"\n")[:-1]:
        try:
            line = _lines.decode(content)
        except msgspec.MsgspecError as error:
            raise FhirAdapterError(f"exports/{path.name}: is no journal of an export") from error
        if line.export is not None:
            if export is not None and line.export.generation != export.generation:
                landed = {}
            export = line.export
        if line.ask_again is not None and export is not None:
            export = msgspec.structs.replace(export, ask_again=line.ask_again)
        if line.landed is not None:
            landed[line.landed.number] = line.landed
    if export is None:
        return None
    return Kept(export, {n: one for n, one in landed.items() if one.generation == export.generation})


def _drop_what_was_cut(handle: int) -> None:
    """Take away a last line without an end, so that the next one does not hang on it."""
    size = os.lseek(handle, 0, os.SEEK_END)
    if not size or os.pread(handle, 1, size - 1) == b"\n":
        return
    end, step = size, 1 << 16
    while end > 0:
        start = max(0, end - step)
        at = os.pread(handle, end - start, start).rfind(b"\n")
        if at >= 0:
            os.ftruncate(handle, start + at + 1)
            return
        end = start
    os.ftruncate(handle, 0)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
