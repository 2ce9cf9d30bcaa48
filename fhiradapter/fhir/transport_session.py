"""Session: one request over pooled connections, its answer open or read to its end."""

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from fhiradapter.connection import Server
from fhiradapter.errors import RefusedAnswerError, ServerError, SettingsError, TransientServerError
from fhiradapter.fhir.bodies import (
    PLAIN,
    Fill,
    damaged,
    decoded,
    poured,
    too_large,
    truncated,
    whole,
)
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.origins import origin_of
from fhiradapter.fhir.secrets import Vault
from fhiradapter.fhir.wire import POOLS, Pace, paced
from fhiradapter.reasons import Reason

CHUNK = 1 << 18  # bytes read from the wire at once
CONNECT_SECONDS = 30.0  # most for one address; a name may have several
HEADERS = {
    "User-Agent": f"fhiradapter/{version('fhiradapter')}",
    "Accept": "application/fhir+json",
    "Accept-Encoding": "gzip",
}


@dataclass
class Answer:
    """An answer whose body has not been read; close it."""

    status: int
    headers: Mapping[str, str]
    url: str
    what: str
    most: int
    _response: requests.Response = field(repr=False)
    _wired: http.client.HTTPResponse | None = field(default=None, repr=False)
    """The same answer, below all that copies its bytes."""
    _filled: int = 0
    _poured: Fill | None = field(default=None, repr=False)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body decompressed; it is whole only when this ends without an error."""
        return decoded(self._wire(), encoding=self.encoding, most=self.most, what=self.what)

    def read(self) -> Reply:
        """Return the complete answer, and close it."""
        try:
            body = whole(self._wire(), encoding=self.encoding, most=self.most, what=self.what)
        finally:
            self.close()
        return Reply(self.status, self.headers, body, self.url)

    def fill(self, room: memoryview) -> int:
        """Put the next bytes of the body, decompressed, into a room, and return how many; 0 at its whole end.

        An answer is read either so or by `chunks`. What is not compressed comes straight from the wire, as a
        copy of each byte takes as long as many a check of it.
        """
        if self._poured is not None:
            return self._poured(room)
        if self._wired is None or self.encoding.strip().lower() not in PLAIN:
            self._poured = poured(self.chunks())
            return self._poured(room)
        self._check_length()
        size = self._read_into(self._wired, room)
        self._filled += size
        if self._filled > self.most:
            raise too_large(self.what, self.most)
        return size

    @property
    def encoding(self) -> str:
        """The compression that the server names."""
        return self.headers.get("Content-Encoding", "")

    def close(self) -> None:
        """Give the connection back when all was read, and drop it otherwise."""
        self._response.close()

    def _wire(self) -> Iterator[bytes]:
        self._check_length()
        while chunk := self._next():
            yield chunk

    def _check_length(self) -> None:
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdigit()):  # http.client would read on until the connection ends
            raise damaged(self.what)

    def _next(self) -> bytes:
        try:
            return bytes(self._response.raw.read(CHUNK, decode_content=False))
        except ServerError:
            raise
        # ValueError: a chunk of negative length
        except (HTTPError, OSError, ValueError):
            pass
        raise truncated(self.what)  # outside, so that no cause with a URL hangs on it

    def _read_into(self, wired: http.client.HTTPResponse, room: memoryview) -> int:
        size: int | None = None
        try:
            size = wired.readinto(room)
        except ServerError:
            raise
        except (http.client.HTTPException, OSError, ValueError):
            pass
        if size is None or (not size and wired.length):
            raise truncated(self.what)
        if wired.isclosed():
            self._response.raw.release_conn()
        return size


class _Adapter(HTTPAdapter):
    """Pools whose connections keep to a pace, and whose trust is decided by one context."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, ssl_context=self._context, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def cert_verify(self, *args: Any, **options: Any) -> None:
        """Add no authorities: requests would trust its own list beside that of the settings."""


class Session:
    """Connections by the settings of one server, for all threads. What the environment says is not asked."""

    def __init__(self, settings: Server, *, vault: Vault, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._clock = clock
        self._adapter = _Adapter(_context(settings, vault), settings.concurrency)
        self._session = requests.Session()
        self._session.trust_env = False  # no .netrc either
        self._session.headers.clear()
        self._session.headers.update(HEADERS)
        self._proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}

    def pace(self, what: str, *, most: int, least: int | None = None) -> Pace:
        """Return the pace of a request that begins now."""
        return Pace(self._clock, self.settings.request_seconds, most, what, least)

    def open(
        self, method: str, url: str, *, headers: Mapping[str, str], pace: Pace, body: bytes | None = None
    ) -> Answer:
        """Send one request, follow nothing and return the open answer.

        Raises TransientServerError when there is none, RefusedAnswerError when its sender is not trusted.
        """
        request = requests.Request(method, url, headers=dict(headers), data=body)
        failure: ServerError | None = None
        try:
            prepared = self._session.prepare_request(request)
            if origin_of(prepared.url or "") != origin_of(url):  # two readings of one URL: neither is right
                raise damaged(pace.what)
            timeout = max(0.001, min(CONNECT_SECONDS, pace.left()))
            with paced(pace):
                # Not Session.send: it reads the bodies of redirects without bounds.
                response = self._adapter.send(
                    prepared, stream=True, timeout=(timeout, pace.left()), proxies=self._proxies
                )
        except ServerError:
            raise
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            failure = _failure(error, pace.what)
        if failure is not None:
            raise failure
        return Answer(
            response.status_code, response.headers, url, pace.what, pace.most, response, pace.answer
        )

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()
        self._session.close()


def _failure(error: Exception, what: str) -> ServerError:
    """Return what a failed request means; of the error itself nothing is repeated: it holds the URL."""
    if isinstance(error, requests.exceptions.InvalidHeader):  # two lengths: neither can be believed
        return damaged(what)
    cause: BaseException | None = error
    for _ in range(10):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RefusedAnswerError(
                f"{what}: its certificate is not trusted ({cause.verify_message}); see ca_file",
                reason=Reason.UNTRUSTED_SERVER,
            )
        inner = getattr(cause, "reason", None) or (
            cause.args[0] if cause is not None and cause.args else None
        )
        cause = inner if isinstance(inner, BaseException) else None
    return TransientServerError(f"{what}: cannot be reached", reason=Reason.UNREACHABLE)


def _context(settings: Server, vault: Vault) -> ssl.SSLContext:
    """Return whom we trust, and the certificate by which we are known."""
    authorities = vault.folder / Path(settings.ca_file).expanduser() if settings.ca_file else None
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError):
        raise SettingsError(f"ca_file: {settings.ca_file}: no PEM file of certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.auth.certificate is not None:
        certificate = vault.folder / Path(settings.auth.certificate).expanduser()
        key = vault.private_file(settings.auth.certificate_key or settings.auth.certificate)
        try:
            context.load_cert_chain(certificate, key, password=_no_pass_phrase)
        except (OSError, ssl.SSLError):
            raise SettingsError("auth.certificate: no PEM certificate with a fitting key") from None
    return context


def _no_pass_phrase() -> str:
    """Return nothing, where OpenSSL would ask on the terminal."""
    return ""
