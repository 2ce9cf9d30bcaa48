"""Secrets: what a reference of the study file stands for, never shown."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from fhiradapter.errors import SettingsError

LARGEST = 1 << 16  # bytes; a key set is a few thousand
# Read or written by others, or written by the group. Reading by the group is how Kubernetes mounts secrets.
EXPOSED = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True)
class Vault:
    """Where references lead: the environment as it was given, files from the study's folder, the keyring."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def read(self, reference: str) -> SecretStr:
        """Return the secret that `env:NAME`, `file:PATH` or `keyring:SERVICE:USER` stands for.

        Raises SettingsError, which names where the secret was looked for and never the secret.
        """
        kind, _, name = reference.partition(":")
        if kind == "env":
            text = self.environment.get(name, "")
        elif kind == "file":
            text = _content(self.private_file(name), name)
        elif kind == "keyring":
            text = _from_keyring(name)
        else:  # it may be the secret itself, so it is not repeated
            raise SettingsError("a secret is not written into the study file; use env:, file: or keyring:")
        if not text.strip():
            raise SettingsError(f"{kind}:{name}: there is no secret, or it is empty")
        return SecretStr(text.strip())

    def read_line(self, reference: str) -> SecretStr:
        """Return a secret that goes into a header: one line of printable ASCII characters."""
        secret = self.read(reference)
        if not (secret.get_secret_value().isascii() and secret.get_secret_value().isprintable()):
            raise SettingsError(f"{reference}: the secret is not one line of ASCII characters")
        return secret

    def private_file(self, name: str) -> Path:
        """Return the path of a file that nobody else may read; SettingsError otherwise."""
        path = self.folder / Path(name).expanduser()
        try:
            status = path.stat()
        except OSError:
            raise SettingsError(f"file:{name}: there is no such file") from None
        if not stat.S_ISREG(status.st_mode):
            raise SettingsError(f"file:{name}: not a file")
        if os.name == "posix" and status.st_mode & EXPOSED:
            raise SettingsError(f"file:{name}: others may read or change it; run chmod 600 on it")
        if status.st_size > LARGEST:
            raise SettingsError(f"file:{name}: too large for a secret")
        return path


def _content(path: Path, name: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        pass
    raise SettingsError(f"file:{name}: cannot be read as text")  # without the cause, which holds its bytes


def _from_keyring(name: str) -> str:
    service, _, user = name.rpartition(":")
    try:
        keyring: Any = import_module("keyring")
    except ImportError:
        raise SettingsError(
            f"keyring:{name}: the keyring is not installed; run pip install 'fhiradapter[keyring]'"
        ) from None
    try:
        return str(keyring.get_password(service, user) or "")
    except keyring.errors.KeyringError:
        pass
    raise SettingsError(f"keyring:{name}: the keyring cannot be opened")
