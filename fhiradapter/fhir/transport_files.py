"""Downloads: bulk files of any size as a stream, from the server or the hosts that the settings allow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.fhir.origins import absolute, allows, foreign, label, origin_of
from fhiradapter.fhir.transport_session import Answer
from fhiradapter.fhir.wire import Pace
from fhiradapter.reasons import Reason

if TYPE_CHECKING:
    from fhiradapter.fhir.transport import Transport

LARGEST_FILE = 1 << 36  # bytes after decompression: 64 GiB, more than a disk should lose to a bomb
LEAST = 1 << 16  # bytes that each `request_seconds` must bring
OK = 200
ANY_FORM = {"Accept": "*/*"}  # object stores know no application/fhir+ndjson


@dataclass(frozen=True)
class Download:
    """An open file. Any status but 200 is the server's final word, and then there is nothing to read."""

    status: int
    headers: Mapping[str, str]
    url: str
    what: str
    _answer: Answer | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the file decompressed; it is whole only when this ends without an error.

        Raises TransientServerError when it was cut short or came too slowly, so that the file can be asked
        for again from its start, and RefusedAnswerError when it breaks a rule.
        """
        if self._answer is None:
            raise RefusedAnswerError(
                f"{self.what}: there is no file (status {self.status})",
                reason=Reason.NO_FILE,
                status=self.status,
            )
        return self._answer.chunks()

    def fill(self, room: memoryview) -> int:
        """Put the next bytes of the file into a room, and return how many; 0 at its end. Else as `chunks`."""
        if self._answer is None:
            return len(list(self.chunks()))  # which says that there is none
        return self._answer.fill(room)


@contextmanager
def download(
    transport: "Transport",
    url: str,
    *,
    with_token: bool,
    headers: Mapping[str, str] = NO_HEADERS,
    most: int = LARGEST_FILE,
) -> Iterator[Download]:
    """Open a file, which may lie at `file_hosts` too; the token goes to the server's own origin alone.

    `with_token` is the manifest's requiresAccessToken. Raises as `Transport.get`; opening is repeated as
    there, reading is not.
    """
    target = absolute(url, at=transport.base_url + "/")
    origin = origin_of(target)
    hosts = tuple(transport.settings.file_hosts)
    if origin is None or not allows(origin, base=transport.origin, hosts=hosts):
        raise foreign(origin, transport.origin)
    what = label(target, transport.base_url) + " (file)"
    opened: list[Answer] = []
    paces: list[Pace] = []

    def ask(credentials: Mapping[str, str]) -> Reply:
        pace = transport.session.pace(what, most=most, least=LEAST)
        paces.append(pace)
        answer = transport.follow(
            "GET",
            target,
            headers={**ANY_FORM, **headers},
            credentials=credentials if with_token else {},
            pace=pace,
            hosts=hosts,
        )
        if answer.status == OK:
            opened.append(answer)
        else:
            answer.close()
        return Reply(answer.status, answer.headers, b"", answer.url)

    try:
        reply = transport.authorized(ask, origin=origin, what=what, renew=with_token)
        yield Download(reply.status, reply.headers, reply.url, what, opened[-1] if opened else None)
    finally:
        for answer in opened:
            answer.close()
        transport.tally.add(received_bytes=sum(pace.received for pace in paces))
