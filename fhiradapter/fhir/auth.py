"""Authorization: the headers by which a server knows us, and what to do when it does not any more."""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fhiradapter.connection import Authentication
from fhiradapter.errors import SettingsError
from fhiradapter.fhir.secrets import Vault


class Authorization(Protocol):
    """Headers for requests to the server's own origin, for all threads at once."""

    def headers(self) -> dict[str, str]:
        """Return the headers to send; they are secret."""

    def refresh(self, stale: str | None) -> bool:
        """Renew what a 401 refused; `stale` is the value that was sent, None when none was.

        True when there is another value now, be it because another thread has renewed it meanwhile: asking
        again is worth it. However many threads call, one renewal is made.
        """


def sent_value(headers: dict[str, str]) -> str | None:
    """Return the secret value of an authorization's headers."""
    return next(iter(headers.values()), None)


@dataclass(frozen=True)
class Anonymous:
    """No header: an open server, or one that knows the client certificate of the connection (mTLS)."""

    def headers(self) -> dict[str, str]:
        """Return no headers."""
        return {}

    def refresh(self, stale: str | None) -> bool:  # noqa: ARG002
        """Return False: there is nothing to renew."""
        return False


@dataclass
class Static:
    """One header with a secret kept elsewhere, which is looked up again when the server refuses it."""

    name: str
    read: Callable[[], str] = field(repr=False)
    _value: str | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def headers(self) -> dict[str, str]:
        """Return the header."""
        with self._lock:
            if self._value is None:
                self._value = self.read()
            return {self.name: self._value}

    def refresh(self, stale: str | None) -> bool:
        """Look the secret up again: an agent may have put a new one into its file."""
        with self._lock:
            if self._value == stale:
                self._value = self.read()
            return self._value != stale


def static_authorization(settings: Authentication, vault: Vault) -> Anonymous | Static:
    """Return the authorization of every kind but `smart`; the secret is read at once.

    Raises SettingsError when the secret cannot be found or may not be used.
    """

    def secret(reference: str | None) -> str:
        return vault.read_line(reference or "").get_secret_value()

    def basic() -> str:
        pair = f"{settings.user}:{secret(settings.password)}"
        return "Basic " + base64.b64encode(pair.encode()).decode("ascii")

    match settings.kind:
        case "none" | "mtls":
            return Anonymous()
        case "bearer":
            static = Static("Authorization", lambda: f"Bearer {secret(settings.token)}")
        case "basic":
            if ":" in (settings.user or ""):  # RFC 7617: the colon ends the name
                raise SettingsError("auth.user: a user name of basic authentication has no colon")
            static = Static("Authorization", basic)
        case "api_key":
            static = Static(settings.header, lambda: secret(settings.api_key))
        case kind:
            raise SettingsError(f"auth.kind: {kind} is not a kind with a fixed secret")
    static.headers()
    return static
