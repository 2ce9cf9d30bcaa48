"""Export pieces: the bytes of a file gathered into pieces that end where lines do."""

from collections.abc import Iterator

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.bodies import Fill
from fhiradapter.reasons import Reason

LONGEST_LINE = 32 << 20  # bytes; past it a file is no NDJSON, or its resource none that a study can use
FIRST = 1 << 16  # bytes; many servers write files that are smaller
# Each step lets other threads in and waits for them afterwards, which takes longer than the step itself where
# pieces are small; much larger ones fall out of the processor's caches.
WORTH_A_STEP = 1 << 20  # bytes
LINE_BREAK = b"\n"


def pieces(fill: Fill) -> Iterator[memoryview]:
    """Yield a file in pieces of whole lines, and at its end a last line that has no end.

    All of them lie in one room, each until the next is asked for: new memory for each takes longer than what
    is done with it. Raises RefusedAnswerError for a line that is too long.
    """
    room = bytearray(FIRST)
    filled = searched = 0
    while size := fill(memoryview(room)[filled:]):
        filled += size
        if filled < len(room):
            continue
        if cut := room.rfind(LINE_BREAK, searched, filled) + 1:
            yield memoryview(room)[:cut]
            room[: filled - cut] = room[cut:filled]
            filled -= cut
        searched = filled
        if filled > LONGEST_LINE:
            raise RefusedAnswerError(
                "$export file: breaks a rule: a line is too long", reason=Reason.BODY_TOO_LARGE
            )
        worth = max(WORTH_A_STEP, min(2 * filled, LONGEST_LINE + WORTH_A_STEP))
        if len(room) < worth:
            room = room[:filled] + bytearray(worth - filled)
    cut = room.rfind(LINE_BREAK, searched, filled) + 1
    for start, end in ((0, cut), (cut, filled)):
        if start < end:
            yield memoryview(room)[start:end]
