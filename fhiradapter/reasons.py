"""Reasons why a resource or value could not be used as it was sent, each with what to do about it."""

from enum import StrEnum
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a reason does to the resource by default, how grave that is, and what a person can do."""

    disposition: str
    severity: str
    advice: str


class Reason(StrEnum):
    """The reasons; `MEANINGS` says what follows from each."""

    # The bytes
    MALFORMED_JSON = "MALFORMED_JSON"
    TRUNCATED_JSON = "TRUNCATED_JSON"
    INVALID_ENCODING = "INVALID_ENCODING"
    NUL_CHARACTER = "NUL_CHARACTER"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    EMPTY_FILE = "EMPTY_FILE"
    NOT_A_FILE = "NOT_A_FILE"
    UNREADABLE_FILE = "UNREADABLE_FILE"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    TRUNCATED_FILE = "TRUNCATED_FILE"
    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"
    # The resource
    NOT_FHIR = "NOT_FHIR"
    WRONG_TYPE = "WRONG_TYPE"
    TYPE_NOT_READ = "TYPE_NOT_READ"
    OUTCOME = "OUTCOME"
    DELETED = "DELETED"
    NO_RESOURCE = "NO_RESOURCE"
    MISSING_ELEMENT = "MISSING_ELEMENT"
    NOT_CONFORMANT = "NOT_CONFORMANT"
    MAPPING_FAULT = "MAPPING_FAULT"
    NO_SUBJECT = "NO_SUBJECT"
    NOT_A_PERSON = "NOT_A_PERSON"
    UNKNOWN_MODIFIER = "UNKNOWN_MODIFIER"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    ENTERED_IN_ERROR = "ENTERED_IN_ERROR"
    STATUS_EXCLUDED = "STATUS_EXCLUDED"
    REFUTED = "REFUTED"
    NOT_ACTUAL = "NOT_ACTUAL"
    # Versions and copies
    SUPERSEDED = "SUPERSEDED"
    DUPLICATE = "DUPLICATE"
    SAME_VERSION_DIFFERS = "SAME_VERSION_DIFFERS"
    OUTDATED = "OUTDATED"
    SAME_FACT = "SAME_FACT"
    HIDDEN = "HIDDEN"
    ACCESS_LOST = "ACCESS_LOST"
    INCOMPLETE_COPY = "INCOMPLETE_COPY"
    # References
    ORPHAN_SUBJECT = "ORPHAN_SUBJECT"
    ORPHAN_REFERENCE = "ORPHAN_REFERENCE"
    FOREIGN_REFERENCE = "FOREIGN_REFERENCE"
    AMBIGUOUS_IDENTIFIER = "AMBIGUOUS_IDENTIFIER"
    ABOUT_SOMEBODY_ELSE = "ABOUT_SOMEBODY_ELSE"
    INACTIVE_RECORD = "INACTIVE_RECORD"
    MERGE_CYCLE = "MERGE_CYCLE"
    # Dates
    NO_DATE = "NO_DATE"
    INVALID_DATE = "INVALID_DATE"
    NO_ZONE = "NO_ZONE"
    OPEN_ENDED = "OPEN_ENDED"
    SENTINEL_DATE = "SENTINEL_DATE"
    FUTURE_DATE = "FUTURE_DATE"
    BEFORE_BIRTH = "BEFORE_BIRTH"
    END_BEFORE_START = "END_BEFORE_START"
    END_ONLY = "END_ONLY"
    # Values
    INVALID_SCORE = "INVALID_SCORE"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    IMPLAUSIBLE_VALUE = "IMPLAUSIBLE_VALUE"
    MISSING_UNIT = "MISSING_UNIT"
    ASSIGNED_UNIT = "ASSIGNED_UNIT"
    UNKNOWN_UNIT = "UNKNOWN_UNIT"
    UNIT_CONFLICT = "UNIT_CONFLICT"
    SEVERAL_VALUES = "SEVERAL_VALUES"
    NUMBER_IN_TEXT = "NUMBER_IN_TEXT"
    CONFLICTING_CODES = "CONFLICTING_CODES"
    MISLEADING_CODE = "MISLEADING_CODE"
    DOSE_WITHOUT_UNIT = "DOSE_WITHOUT_UNIT"
    DOSE_WITHOUT_WEIGHT = "DOSE_WITHOUT_WEIGHT"
    INTERRUPTED = "INTERRUPTED"
    # A server's answers
    NOT_JSON = "NOT_JSON"
    NOT_A_BUNDLE = "NOT_A_BUNDLE"
    NOT_ASKED_FOR = "NOT_ASKED_FOR"
    SERVER_SAYS_ERROR = "SERVER_SAYS_ERROR"
    QUERY_REFUSED = "QUERY_REFUSED"
    FORBIDDEN = "FORBIDDEN"
    NOT_OFFERED = "NOT_OFFERED"
    FILTER_IGNORED = "FILTER_IGNORED"
    FOREIGN_LINK = "FOREIGN_LINK"
    PAGING_LOOP = "PAGING_LOOP"
    TOO_MANY_PAGES = "TOO_MANY_PAGES"
    PAGE_EXPIRED = "PAGE_EXPIRED"
    UNSTABLE = "UNSTABLE"
    NO_SERVER_TIME = "NO_SERVER_TIME"
    SERVER_FAILED = "SERVER_FAILED"
    # What brings them
    UNREACHABLE = "UNREACHABLE"
    UNTRUSTED_SERVER = "UNTRUSTED_SERVER"
    FOREIGN_ORIGIN = "FOREIGN_ORIGIN"
    DEADLINE = "DEADLINE"
    RETRY_LATER = "RETRY_LATER"
    REDIRECT_LOOP = "REDIRECT_LOOP"
    BAD_REDIRECT = "BAD_REDIRECT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    TRUNCATED_BODY = "TRUNCATED_BODY"
    DAMAGED_BODY = "DAMAGED_BODY"
    TRAILING_BYTES = "TRAILING_BYTES"
    UNKNOWN_ENCODING = "UNKNOWN_ENCODING"
    NO_FILE = "NO_FILE"
    # Bulk exports
    BAD_MANIFEST = "BAD_MANIFEST"
    COUNT_DIFFERS = "COUNT_DIFFERS"
    EXPORT_FAILED = "EXPORT_FAILED"
    EXPORT_GONE = "EXPORT_GONE"
    EXPORT_LATE = "EXPORT_LATE"
    EXPORT_RUNNING = "EXPORT_RUNNING"


QUARANTINED, IGNORED, FLAGGED = "quarantined", "ignored", "flagged"

MEANINGS: dict[Reason, Meaning] = {
    Reason.MALFORMED_JSON: Meaning(QUARANTINED, "error", "not JSON; export it again"),
    Reason.TRUNCATED_JSON: Meaning(QUARANTINED, "error", "ends in the middle; export it again"),
    Reason.INVALID_ENCODING: Meaning(QUARANTINED, "error", "not UTF-8; export it as UTF-8"),
    Reason.NUL_CHARACTER: Meaning(QUARANTINED, "error", "holds a NUL character, which FHIR forbids"),
    Reason.TOO_LARGE: Meaning(
        QUARANTINED, "error", "larger than the limit; raise [limits] in the study file"
    ),
    Reason.TOO_DEEP: Meaning(QUARANTINED, "error", "nested deeper than [limits] nesting allows"),
    Reason.EMPTY_FILE: Meaning(FLAGGED, "warning", "the file is empty; was the export complete?"),
    Reason.NOT_A_FILE: Meaning(FLAGGED, "error", "a directory with a file's name; its contents are read"),
    Reason.UNREADABLE_FILE: Meaning(FLAGGED, "error", "cannot be opened; check its permissions"),
    Reason.FILE_TOO_LARGE: Meaning(
        FLAGGED,
        "error",
        "Spark takes such a file whole, and no more than 2 GB; send it as plain NDJSON, or cut it",
    ),
    Reason.TRUNCATED_FILE: Meaning(FLAGGED, "error", "the compressed file ends early; copy it again"),
    Reason.UNKNOWN_FORMAT: Meaning(
        FLAGGED, "warning", "neither JSON nor NDJSON; FHIR XML has to be converted"
    ),
    Reason.NOT_FHIR: Meaning(QUARANTINED, "error", "JSON without a resourceType"),
    Reason.WRONG_TYPE: Meaning(QUARANTINED, "error", "an element has the wrong JSON type"),
    Reason.TYPE_NOT_READ: Meaning(IGNORED, "information", "this resource type has no place in the cohort"),
    Reason.OUTCOME: Meaning(
        IGNORED, "warning", "the server's remark about the search, not a clinical resource"
    ),
    Reason.DELETED: Meaning(IGNORED, "information", "the history says that it was deleted"),
    Reason.NO_RESOURCE: Meaning(IGNORED, "information", "a Bundle entry without a resource"),
    Reason.MISSING_ELEMENT: Meaning(
        QUARANTINED, "error", "an element without which it has no meaning is missing"
    ),
    Reason.NOT_CONFORMANT: Meaning(FLAGGED, "warning", "not valid by the FHIR specification at this element"),
    Reason.MAPPING_FAULT: Meaning(QUARANTINED, "error", "a fault of fhiradapter: please report its path"),
    Reason.NO_SUBJECT: Meaning(QUARANTINED, "error", "it does not say whom it is about"),
    Reason.NOT_A_PERSON: Meaning(IGNORED, "information", "its subject is not a Patient"),
    Reason.UNKNOWN_MODIFIER: Meaning(
        QUARANTINED,
        "error",
        "a modifier may reverse its meaning; if harmless, allow its URL in the site file",
    ),
    Reason.UNKNOWN_CODE: Meaning(QUARANTINED, "error", "a code that FHIR does not have in this place"),
    Reason.ENTERED_IN_ERROR: Meaning(IGNORED, "information", "the source took it back"),
    Reason.STATUS_EXCLUDED: Meaning(
        IGNORED, "information", "its status says that it did not happen or is unknown"
    ),
    Reason.REFUTED: Meaning(IGNORED, "information", "the source says that the subject does not have it"),
    Reason.NOT_ACTUAL: Meaning(IGNORED, "information", "a potential event that did not happen"),
    Reason.SUPERSEDED: Meaning(IGNORED, "information", "a newer version of the same resource was received"),
    Reason.DUPLICATE: Meaning(IGNORED, "information", "the same version was received before"),
    Reason.SAME_VERSION_DIFFERS: Meaning(
        FLAGGED,
        "warning",
        "one id and version with two contents: both are kept; ask the source which is right",
    ),
    Reason.OUTDATED: Meaning(
        FLAGGED, "error", "a newer version was received and quarantined: this one is what could be read"
    ),
    Reason.SAME_FACT: Meaning(IGNORED, "information", "another source sent the same fact; that one is kept"),
    Reason.HIDDEN: Meaning(
        FLAGGED,
        "warning",
        "its server finds it by id alone and not by search any more: kept; ask the source why",
    ),
    Reason.ACCESS_LOST: Meaning(
        FLAGGED, "warning", "its server does not let us read it any more: kept as it was read last"
    ),
    Reason.INCOMPLETE_COPY: Meaning(FLAGGED, "warning", "tagged SUBSETTED: elements may have been left out"),
    Reason.ORPHAN_SUBJECT: Meaning(FLAGGED, "warning", "no Patient with this id was received"),
    Reason.ORPHAN_REFERENCE: Meaning(FLAGGED, "warning", "the resource that it refers to was not received"),
    Reason.FOREIGN_REFERENCE: Meaning(FLAGGED, "warning", "it refers to another server, which is not asked"),
    Reason.AMBIGUOUS_IDENTIFIER: Meaning(FLAGGED, "warning", "several resources carry this identifier"),
    Reason.ABOUT_SOMEBODY_ELSE: Meaning(
        FLAGGED, "warning", "its focus is not the subject: kept without a concept"
    ),
    Reason.INACTIVE_RECORD: Meaning(FLAGGED, "warning", "the Patient record is not in use any more"),
    Reason.MERGE_CYCLE: Meaning(FLAGGED, "error", "Patient records replace each other in a circle"),
    Reason.NO_DATE: Meaning(FLAGGED, "warning", "it does not say when; it is in no analysis over time"),
    Reason.INVALID_DATE: Meaning(FLAGGED, "warning", "not a FHIR date; kept as text"),
    Reason.NO_ZONE: Meaning(
        FLAGGED, "information", "a time without an offset: read in the source's time zone"
    ),
    Reason.OPEN_ENDED: Meaning(FLAGGED, "information", "the year 9999 means that no date is known"),
    Reason.SENTINEL_DATE: Meaning(
        FLAGGED, "warning", "a day that systems write for 'unknown': kept as text, no date"
    ),
    Reason.FUTURE_DATE: Meaning(FLAGGED, "warning", "more than a day in the future"),
    Reason.BEFORE_BIRTH: Meaning(FLAGGED, "warning", "before the subject's birth"),
    Reason.END_BEFORE_START: Meaning(FLAGGED, "warning", "it ends before it starts"),
    Reason.END_ONLY: Meaning(FLAGGED, "information", "a period with an end and no start"),
    Reason.INVALID_SCORE: Meaning(QUARANTINED, "error", "not a whole number in the score's range"),
    Reason.NOT_A_NUMBER: Meaning(FLAGGED, "warning", "a number was expected; kept as text"),
    Reason.IMPLAUSIBLE_VALUE: Meaning(
        FLAGGED, "warning", "outside the plausible range of concepts.csv; kept"
    ),
    Reason.MISSING_UNIT: Meaning(
        FLAGGED, "warning", "no unit: not converted; a site file can assign one under [[units]]"
    ),
    Reason.ASSIGNED_UNIT: Meaning(FLAGGED, "information", "no unit was sent; the site file's was taken"),
    Reason.UNKNOWN_UNIT: Meaning(
        FLAGGED, "warning", "no conversion to the concept's unit is known: not converted; see units.csv"
    ),
    Reason.UNIT_CONFLICT: Meaning(FLAGGED, "warning", "the unit's code and text differ; the code was taken"),
    Reason.SEVERAL_VALUES: Meaning(FLAGGED, "warning", "more than one value or answer; the first was taken"),
    Reason.NUMBER_IN_TEXT: Meaning(FLAGGED, "information", "a score in a text was read as its number"),
    Reason.CONFLICTING_CODES: Meaning(
        FLAGGED, "warning", "two codes of it mean different concepts; first taken"
    ),
    Reason.MISLEADING_CODE: Meaning(
        FLAGGED, "warning", "a code that circulates with a wrong meaning (never_map.csv): not mapped"
    ),
    Reason.DOSE_WITHOUT_UNIT: Meaning(FLAGGED, "warning", "a bare number is not a dose"),
    Reason.DOSE_WITHOUT_WEIGHT: Meaning(
        FLAGGED, "warning", "a dose per kilogram without a body weight in the 30 days before"
    ),
    Reason.INTERRUPTED: Meaning(FLAGGED, "information", "stopped before its end: the dose given counts"),
    Reason.NOT_JSON: Meaning(FLAGGED, "error", "the answer is not JSON; is it a login page or a proxy's?"),
    Reason.NOT_A_BUNDLE: Meaning(
        FLAGGED, "error", "a search was answered with something else than its Bundle"
    ),
    Reason.NOT_ASKED_FOR: Meaning(FLAGGED, "error", "a page holds resources that were not asked for"),
    Reason.SERVER_SAYS_ERROR: Meaning(FLAGGED, "error", "the answer itself says that it is not complete"),
    Reason.QUERY_REFUSED: Meaning(FLAGGED, "error", "the server refuses the search; see `fhiradapter check`"),
    Reason.FORBIDDEN: Meaning(FLAGGED, "error", "the server forbids this type; ask for the scope to read it"),
    Reason.NOT_OFFERED: Meaning(FLAGGED, "error", "the server does not have this type or search"),
    Reason.FILTER_IGNORED: Meaning(
        FLAGGED, "error", "the server answers with more than was asked for; read the type by `reread`"
    ),
    Reason.FOREIGN_LINK: Meaning(FLAGGED, "error", "a link to another place, which was not asked"),
    Reason.PAGING_LOOP: Meaning(FLAGGED, "error", "the server's pages repeat themselves without an end"),
    Reason.TOO_MANY_PAGES: Meaning(FLAGGED, "error", "more pages or bytes than [sources.server] allows"),
    Reason.PAGE_EXPIRED: Meaning(FLAGGED, "error", "pages expired several times before they could be read"),
    Reason.UNSTABLE: Meaning(
        FLAGGED, "error", "each reading gave something else; it is tried again next time"
    ),
    Reason.NO_SERVER_TIME: Meaning(
        FLAGGED, "error", "no Date in its answers: changes cannot be told by time"
    ),
    Reason.SERVER_FAILED: Meaning(FLAGGED, "error", "the server failed each time; tell those who run it"),
    Reason.UNREACHABLE: Meaning(FLAGGED, "error", "no connection, or it broke; see base_url and proxy"),
    Reason.UNTRUSTED_SERVER: Meaning(
        FLAGGED, "error", "its certificate is not trusted; name its authority as ca_file"
    ),
    Reason.FOREIGN_ORIGIN: Meaning(
        FLAGGED, "error", "a link or redirect to another place, which was not asked; see base_url"
    ),
    Reason.DEADLINE: Meaning(FLAGGED, "error", "no complete answer in time; see request_seconds"),
    Reason.RETRY_LATER: Meaning(
        FLAGGED, "error", "busy for longer than retry_after_seconds; it is tried again next time"
    ),
    Reason.REDIRECT_LOOP: Meaning(FLAGGED, "error", "redirects lead round and round; see base_url"),
    Reason.BAD_REDIRECT: Meaning(
        FLAGGED, "error", "a redirect that leads nowhere, or of another request than GET"
    ),
    Reason.BODY_TOO_LARGE: Meaning(FLAGGED, "error", "the answer is larger than page_bytes; lower page_size"),
    Reason.TRUNCATED_BODY: Meaning(FLAGGED, "error", "the answer was cut short each time; is there a proxy?"),
    Reason.DAMAGED_BODY: Meaning(FLAGGED, "error", "the answer's compression or length is broken each time"),
    Reason.TRAILING_BYTES: Meaning(FLAGGED, "error", "bytes follow the end of the compressed answer"),
    Reason.UNKNOWN_ENCODING: Meaning(FLAGGED, "error", "compressed in a way that was not asked for"),
    Reason.NO_FILE: Meaning(FLAGGED, "error", "the server does not give this file any more"),
    Reason.BAD_MANIFEST: Meaning(
        FLAGGED, "error", "an export without a readable transactionTime, list of files or place to ask"
    ),
    Reason.COUNT_DIFFERS: Meaning(
        FLAGGED,
        "error",
        "a file of an export has not as many lines as its manifest says; nothing of it counts",
    ),
    Reason.EXPORT_FAILED: Meaning(FLAGGED, "error", "the server says that its export failed"),
    Reason.EXPORT_GONE: Meaning(
        FLAGGED, "error", "the server forgot its export before it was read; another one is begun next time"
    ),
    Reason.EXPORT_LATE: Meaning(FLAGGED, "error", "the export was not ready within export_days"),
    Reason.EXPORT_RUNNING: Meaning(
        FLAGGED, "information", "the server still works on the export; it is asked again next time"
    ),
}
