"""The lock: one process at a time writes to a store."""

import fcntl
import os
from pathlib import Path

from fhiradapter.errors import LockedError
from fhiradapter.store.disk import PRIVATE_FILE


class Lock:
    """A lock on a file, which the system takes back when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises LockedError when another one has it."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise LockedError(f"{path.parent}: another run holds the store; wait for its end") from error

    def release(self) -> None:
        """Give the lock back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
