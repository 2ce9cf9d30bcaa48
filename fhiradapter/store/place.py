"""The place of a store: one folder with raw files, a database, what is published, and a lock."""

import os
from dataclasses import dataclass
from pathlib import Path

from fhiradapter.errors import UsageError
from fhiradapter.store.disk import PRIVATE_FOLDER, Disk

REBUILT = "rebuilt.duckdb"
OWN = frozenset(
    {
        *("lock", "raw", "published", "waiting", "exports"),
        *("store.duckdb", "store.duckdb.wal", REBUILT, f"{REBUILT}.wal"),
    }
)
CURRENT = "current"
SNAPSHOT = "cohort.duckdb"


@dataclass(frozen=True)
class Place:
    """Where the parts of a store are."""

    folder: Path
    name: str = "store.duckdb"

    @property
    def lock(self) -> Path:
        """The file that the writer locks."""
        return self.folder / "lock"

    @property
    def raw(self) -> Path:
        """Folder of what was received, one folder per run in it."""
        return self.folder / "raw"

    @property
    def database(self) -> Path:
        """The database of the writer; readers use what is published."""
        return self.folder / self.name

    @property
    def waiting(self) -> Path:
        """Where the database puts what does not fit into memory."""
        return self.folder / "waiting"

    @property
    def published(self) -> Path:
        """Folder of the snapshots that readers use."""
        return self.folder / "published"

    @property
    def current(self) -> Path:
        """Link to the newest snapshot's folder."""
        return self.published / CURRENT

    def prepare(self, disk: Disk) -> None:
        """Make the folder, or look whether it is a store's, and keep others out of it.

        Raises UsageError when it holds files that no store has, or cannot be written.
        """
        try:
            if self.folder.exists():
                strangers = {path.name for path in self.folder.iterdir()} - OWN
                if strangers:
                    raise UsageError(
                        f"{self.folder}: holds other files than a store's; choose another folder"
                    )
                if self.folder.stat().st_mode & 0o777 != PRIVATE_FOLDER:
                    self.folder.chmod(PRIVATE_FOLDER)
            for folder in (self.folder, self.raw, self.published):
                disk.make_folder(folder)
        except NotADirectoryError as error:
            raise UsageError(f"{self.folder}: is a file; a store is a folder") from error
        except PermissionError as error:
            raise UsageError(f"{self.folder}: cannot be written ({os.strerror(error.errno or 0)})") from error


def is_store(folder: Path) -> bool:
    """Return True when a folder is a store, published or not."""
    return (folder / "published").is_dir() and (folder / "raw").is_dir()
