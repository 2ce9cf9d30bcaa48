"""SMART Backend Services: tokens for a client that signs for itself, kept in memory and renewed in time."""

import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol
from urllib.parse import urlencode

import msgspec

from fhiradapter.connection import Authentication
from fhiradapter.errors import AuthenticationError, RefusedOriginError
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.keys import SigningKey
from fhiradapter.fhir.origins import origin_of
from fhiradapter.fhir.patience import Patience
from fhiradapter.fhir.scopes import missing_types, scopes_for, version_of
from fhiradapter.reasons import Reason

# https://hl7.org/fhir/smart-app-launch/backend-services.html
LIFE_OF_ASSERTION = 240  # seconds; the limit is 300, and clocks differ
LIFE_OF_TOKEN = 300.0  # seconds, where the server does not say: the longest that SMART recommends
RENEWED_AT = 0.8  # of a token's life
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = re.compile(r"[\x21-\x7e]{1,65536}\Z")
# RFC 6749, section 5.2. Any other text in that place is the server's, and is not repeated.
CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


class Ask(Protocol):
    """Sends one request, with no token and following nothing."""

    def __call__(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Return the complete answer; TransientServerError when there is none."""


class _Grant(msgspec.Struct):
    access_token: str
    token_type: Literal["bearer", "Bearer", "BEARER"] = "bearer"  # noqa: S105 - a kind, no token
    expires_in: float | str | None = None
    scope: str | None = None


class _Refusal(msgspec.Struct):
    error: str = ""


class _Endpoint(NamedTuple):
    url: str
    scopes_version: int


@dataclass
class SmartBackend:
    """An Authorization by client credentials with a signed assertion (`private_key_jwt`)."""

    base_url: str
    settings: Authentication
    read_key: Callable[[], SigningKey] = field(repr=False)
    ask: Ask = field(repr=False)
    patience: Patience = field(repr=False)
    types: tuple[str, ...]
    clock: Callable[[], float] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)
    identifier: Callable[[], str] = field(default=lambda: str(uuid.uuid4()), repr=False)
    granted: frozenset[str] | None = None
    """The scopes of the last token; None before the first."""
    _token: str | None = field(default=None, repr=False)
    _renew_at: float = 0.0
    _key: SigningKey | None = field(default=None, repr=False)
    _endpoint: _Endpoint | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def headers(self) -> dict[str, str]:
        """Return the header with a token that is not about to expire.

        Raises AuthenticationError when there is none to be had.
        """
        with self._lock:
            if self._token is None or self.clock() >= self._renew_at:
                self._renew()
            return {"Authorization": f"Bearer {self._token}"}

    def refresh(self, stale: str | None) -> bool:
        """Fetch a new token unless another thread has done so since `stale` was sent."""
        with self._lock:
            if stale == f"Bearer {self._token}":
                self._renew()
            return stale != f"Bearer {self._token}"

    def missing_types(self, types: Iterable[str]) -> frozenset[str]:
        """Return the types that the server did not grant, asking for a token first."""
        self.headers()
        return missing_types(types, self.granted or ())

    def _renew(self) -> None:
        self._token = None
        endpoint = self._endpoint = self._endpoint or self._discovered()
        key = self._key = self._key or self.read_key()
        scopes = " ".join(self.settings.scopes or scopes_for(self.types, version=endpoint.scopes_version))
        begun = self.clock()
        reply = self._asked(endpoint, key, scopes)
        if _refusal(reply) == "invalid_client":  # keys are rotated while we run
            key = self._key = self.read_key()
            reply = self._asked(endpoint, key, scopes)
        if _refusal(reply) == "invalid_scope" and not self.settings.scopes and endpoint.scopes_version == 2:
            endpoint = self._endpoint = endpoint._replace(scopes_version=1)
            scopes = " ".join(scopes_for(self.types, version=1))
            reply = self._asked(endpoint, key, scopes)
        grant = self._grant(reply)
        self.granted = frozenset((scopes if grant.scope is None else grant.scope).split())
        self._renew_at = begun + RENEWED_AT * _life(grant.expires_in)
        self._token = grant.access_token

    def _asked(self, endpoint: _Endpoint, key: SigningKey, scopes: str) -> Reply:
        """Return the token endpoint's final answer; each try signs a new assertion."""

        def once() -> Reply:
            moment = int(self.now().timestamp())
            assertion = key.sign(
                {
                    "iss": self.settings.client_id,
                    "sub": self.settings.client_id,
                    "aud": endpoint.url,
                    "iat": moment,
                    "exp": moment + LIFE_OF_ASSERTION,
                    "jti": self.identifier(),
                }
            )
            form = {
                "grant_type": "client_credentials",
                "scope": scopes,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            return self.ask("POST", endpoint.url, headers=headers, body=urlencode(form).encode("ascii"))

        return self.patience.answer_to(once, f"{self.base_url}: token endpoint")

    def _grant(self, reply: Reply) -> _Grant:
        if reply.status != 200:
            code = _refusal(reply)
            raise AuthenticationError(
                f"{self.base_url}: the token endpoint refuses us with status {reply.status}"
                + (f" ({code})" if code in CODES else "")
            )
        try:
            grant = msgspec.json.decode(reply.body, type=_Grant)
        except (ValueError, RecursionError):
            grant = _Grant("")
        if not TOKEN.match(grant.access_token):
            raise AuthenticationError(f"{self.base_url}: the token endpoint's answer holds no bearer token")
        return grant

    def _discovered(self) -> _Endpoint:
        """Return the token endpoint, by the settings or the server's SMART configuration."""
        configuration = self._configuration()
        url = self.settings.token_url or configuration.get("token_endpoint")
        if not isinstance(url, str):
            raise AuthenticationError(
                f"{self.base_url}: no token endpoint in .well-known/smart-configuration; set auth.token_url"
            )
        methods = configuration.get("token_endpoint_auth_methods_supported")
        if isinstance(methods, list) and "private_key_jwt" not in methods and not self.settings.token_url:
            raise AuthenticationError(f"{self.base_url}: the server does not offer private_key_jwt")
        origin = origin_of(url)
        if origin is None or (origin.scheme == "http" and not origin.is_loopback):
            raise RefusedOriginError(
                f"{self.base_url}: its token endpoint is no https URL; nobody there was asked",
                reason=Reason.FOREIGN_ORIGIN,
            )
        return _Endpoint(url, version_of(configuration))

    def _configuration(self) -> dict[str, object]:
        """Return the SMART configuration; empty when the server has none that can be read."""
        url = f"{self.base_url}/.well-known/smart-configuration"

        def once() -> Reply:
            return self.ask("GET", url, headers={"Accept": "application/json"}, body=None)

        reply = self.patience.answer_to(once, f"{self.base_url}/.well-known")
        try:
            return msgspec.json.decode(reply.body, type=dict[str, object]) if reply.status == 200 else {}
        except (ValueError, RecursionError):
            return {}


def _refusal(reply: Reply) -> str:
    """Return the OAuth error code of an answer, empty without one."""
    if reply.status == 200:
        return ""
    try:
        return msgspec.json.decode(reply.body, type=_Refusal).error
    except (ValueError, RecursionError):
        return ""


def _life(expires_in: float | str | None) -> float:
    """Return a token's life in seconds; some servers send it as text."""
    try:
        life = float(expires_in if expires_in is not None else LIFE_OF_TOKEN)
    except ValueError:
        return LIFE_OF_TOKEN
    return life if 0 < life < 10**9 else LIFE_OF_TOKEN
