"""Origins: where a link leads, and whether that is the server itself."""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from fhiradapter.connection import LOOPBACK
from fhiradapter.errors import RefusedOriginError, SettingsError
from fhiradapter.reasons import Reason

PORTS = {"http": 80, "https": 443}
# Two programs that read one authority differently are how links lead astray: nothing but a plain host and
# port is accepted, so there is one way to read it. Names beyond ASCII come in their xn-- form.
NAME = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?\Z")
LITERAL = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]{2,45})\](?::(?P<port>[0-9]{1,5}))?\Z")
CONTROLS = re.compile(r"[\x00-\x20\x7f\\]")  # browsers read a backslash as a slash; some readers drop tabs
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
SEGMENT = re.compile(r"(?:[A-Z][A-Za-z]{0,63}|\$[a-z-]{1,64}|metadata|\.well-known)\Z")
LONGEST = 65_536  # characters; links that grow with each page end here


class Origin(NamedTuple):
    """Scheme, host and port, in the form in which equal ones are equal."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if PORTS[self.scheme] == self.port else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return self.host in LOOPBACK


def origin_of(url: str) -> Origin | None:
    """Return where an absolute URL leads; None when that cannot be told for certain.

    Hosts are compared as they are written: 127.0.0.1, 2130706433 and ::ffff:127.0.0.1 are three.

    >>> origin_of("HTTPS://EHR.example.org:443/fhir")
    Origin(scheme='https', host='ehr.example.org', port=443)
    >>> origin_of("https://ehr.example.org@evil.example/fhir") is None
    True
    """
    if len(url) > LONGEST or CONTROLS.search(url.partition("?")[0]):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    match = NAME.match(parts.netloc) or LITERAL.match(parts.netloc)
    if parts.scheme not in PORTS or match is None:
        return None
    host = match["host"].lower()
    port = int(match["port"] or PORTS[parts.scheme])
    if ":" in host or match.re is LITERAL:
        try:
            host = ipaddress.IPv6Address(host).compressed
        except ValueError:
            return None
    return Origin(parts.scheme, host, port) if port < 65_536 else None


def origin_of_base(base_url: str) -> Origin:
    """Return the origin of a server in the settings; SettingsError when it has none."""
    origin = origin_of(base_url)
    if origin is None:
        raise SettingsError("base_url: not a plain http(s) URL; write a host beyond ASCII as xn--...")
    return origin


def resolve(link: str, *, at: str, base: Origin) -> str:
    """Return the absolute URL of a link found in the answer of `at`, without its fragment.

    Raises RefusedOriginError when it leads anywhere but to the base's origin. Nobody is asked.
    """
    url = absolute(link, at=at)
    origin = origin_of(url)
    if origin != base:
        raise foreign(origin, base)
    return url


def absolute(link: str, *, at: str) -> str:
    """Return the absolute URL of a link; what is none, or could be read in two ways, gives an empty text."""
    if CONTROLS.search(link.partition("?")[0]) or len(link) > LONGEST or link.startswith("///"):
        return ""
    # Browsers read https:/host and https:///host as a host, urljoin as a path.
    if SCHEME.match(link) and origin_of(link) is None:
        return ""
    try:
        return urldefrag(urljoin(at, link)).url
    except ValueError:
        return ""


def allows(origin: Origin | None, *, base: Origin, hosts: Iterable[str]) -> bool:
    """Whether a file may come from an origin: the server's own, or https at a host of the list.

    A host of the list has the port 443 unless it says another. Plain http is for this machine alone, and only
    when the server itself is there.
    """
    if origin is None:
        return False
    if origin == base:
        return True
    if origin.scheme == "http" and not (origin.is_loopback and base.scheme == "http" and base.is_loopback):
        return False
    return any(origin == origin_of(f"{origin.scheme}://{host}") for host in hosts)


def foreign(origin: Origin | None, base: Origin) -> RefusedOriginError:
    """Return the error for a link that leads away."""
    there = str(origin) if origin is not None else "a place that cannot be told for certain"
    return RefusedOriginError(
        f"{base}: it sends us to {there}; nobody there was asked", reason=Reason.FOREIGN_ORIGIN
    )


def label(url: str, base_url: str) -> str:
    """Return what a message may say of a URL: the base and the type, no id and no query.

    >>> label("https://ehr.example.org/fhir/Patient/4711?name=Doe", "https://ehr.example.org/fhir")
    'https://ehr.example.org/fhir/Patient'
    """
    base = base_url.rstrip("/")
    path = url.partition("?")[0]
    rest = path.removeprefix(base + "/")
    first = rest.partition("/")[0] if rest != path else ""
    return f"{base}/{first}" if SEGMENT.match(first) else base
