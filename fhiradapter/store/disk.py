"""The disk: every operation of a store on files, in one small object that tests can make fail."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

PRIVATE_FOLDER, PRIVATE_FILE, READ_ONLY = 0o700, 0o600, 0o400
COPIED_AT_ONCE = 1 << 30


class Disk:
    """Files and folders of one store; `step` is told of each operation before it is done."""

    def step(self, name: str) -> None:
        """Take notice of an operation; does nothing here."""

    def make_folder(self, path: Path) -> None:
        """Make a folder that only its owner may enter, and those above it."""
        if not path.is_dir():
            self.step("folder")
            path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)

    def create(self, path: Path) -> BinaryIO:
        """Open a new file that only its owner may read."""
        self.step("create")
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb")

    def write(self, file: BinaryIO, content: bytes) -> None:
        """Add bytes to a file."""
        self.step("write")
        file.write(content)

    def finish(self, file: BinaryIO) -> None:
        """Close a file when all of it has reached the disk."""
        try:
            self.step("sync")
            file.flush()
            os.fsync(file.fileno())
        finally:
            file.close()

    def rename(self, path: Path, name: Path) -> None:
        """Give a file or link its final name, in place of what has it."""
        self.step("rename")
        path.replace(name)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder have reached the disk."""
        self.step("sync folder")
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def copy(self, path: Path, copied: Path) -> None:
        """Copy a file inside the kernel, sharing its blocks where the file system can."""
        self.step("copy")
        with path.open("rb") as source, self.create(copied) as target:
            left = source.seek(0, os.SEEK_END)
            source.seek(0)
            try:
                while left:
                    done = os.copy_file_range(source.fileno(), target.fileno(), min(left, COPIED_AT_ONCE))
                    if not done:
                        break
                    left -= done
            except (AttributeError, OSError):
                # Not every system has it, and not between any two file systems.
                source.seek(0)
                target.seek(0)
                target.truncate()
                shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            self.step("sync")
            os.fsync(target.fileno())
            os.fchmod(target.fileno(), READ_ONLY)

    def link(self, target: str, path: Path) -> None:
        """Make a symbolic link, in place of one that an interrupted run left."""
        self.step("link")
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with what is in it."""
        self.step("remove")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
