"""Bulk Data export: what a server offers, what it is asked for, and what its remarks mean."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from fhiradapter.fhir.datatypes import Element
from fhiradapter.fhir.pages import CODES, FAILED, Outcome

# https://hl7.org/fhir/uv/bulkdata/ in its versions 2.0.0, 3.0.0 and the ballot of 4.0.0
Level = Literal["system", "patient", "group"]
NDJSON = "application/fhir+ndjson"
ASYNCHRONOUS: Mapping[str, str] = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
LONGEST_QUERY = 4_000  # characters; proxies cut off at 8,000, and a few earlier
POST_ONLY = 4  # the first version that knows no GET
VERSIONS = re.compile(r"(?:uv/bulkdata\b[^|]*|uv\.bulkdata)\|(\d+)\.")
PATIENT_EXPORT, GROUP_EXPORT = "patient-export", "group-export"
# https://hl7.org/fhir/R4/valueset-issue-type.html below `transient`; `exception` is left out, since servers
# write it for jobs that failed for good as well.
TRANSIENT = frozenset({"transient", "lock-error", "no-store", "timeout", "incomplete", "throttled"})


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one export is asked for."""

    level: Level
    types: tuple[str, ...]
    group: str | None = None
    patients: tuple[str, ...] = ()
    """Ids; empty: all of the level."""
    since: str | None = None
    type_filters: tuple[str, ...] = ()
    """Searches such as 'Observation?category=laboratory'; a type's own are alternatives."""
    elements: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()
    """includeAssociatedData: codes such as LatestProvenanceResources."""
    output_format: str = NDJSON


class KickOff(NamedTuple):
    """The request that begins an export."""

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str]
    body: bytes | None


class Offers(NamedTuple):
    """What a server says of its exports."""

    levels: frozenset[Level]
    version: int | None
    """Major version of the Bulk Data guide that it names."""
    software: str | None = None
    software_version: str | None = None
    software_date: str | None = None
    fhir_version: str | None = None

    @property
    def post(self) -> bool:
        """Whether only POST begins an export."""
        return self.version is not None and self.version >= POST_ONLY


class Remark(NamedTuple):
    """What an OperationOutcome says, without its text, which may speak of patients."""

    severity: str
    code: str


class _Operation(Element):
    name: str | None = None
    definition: str | None = None


class _OfType(Element):
    type: str | None = None
    operation: list[_Operation] | None = None


class _Side(Element):
    mode: str | None = None
    resource: list[_OfType] | None = None
    operation: list[_Operation] | None = None


class _Software(Element):
    name: str | None = None
    version: str | None = None
    release_date: str | None = None


class _Statement(Element):
    fhir_version: str | None = None
    instantiates: list[str] | None = None
    implementation_guide: list[str] | None = None
    software: _Software | None = None
    rest: list[_Side] | None = None


_statements = msgspec.json.Decoder(_Statement)
_outcomes = msgspec.json.Decoder(Outcome)


def offers_of(statement: bytes) -> Offers:
    """Return what a CapabilityStatement says of exports; what cannot be read says nothing."""
    try:
        read = _statements.decode(statement)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Offers(frozenset(), None)
    levels: set[Level] = set()
    sides = [side for side in read.rest or () if side.mode in {None, "server"}]
    definitions: list[str] = []
    for side in sides:
        for operation in side.operation or ():
            levels |= _levels(operation, None)
            definitions.append(operation.definition or "")
        for part in side.resource or ():
            for operation in part.operation or ():
                levels |= _levels(operation, part.type)
                definitions.append(operation.definition or "")
    named = (*(read.instantiates or ()), *(read.implementation_guide or ()), *definitions)
    versions = [int(match[1]) for text in named if (match := VERSIONS.search(text))]
    software = read.software or _Software()
    return Offers(
        frozenset(levels),
        max(versions, default=None),
        software.name,
        software.version,
        software.release_date,
        read.fhir_version,
    )


def level_for(offers: Offers, *, group: str | None = None) -> Level | None:
    """Return the level that reads a cohort: its Group's, else all Patients' before the whole system's."""
    if group is not None:
        return "group" if "group" in offers.levels else None
    return next((level for level in ("patient", "system") if level in offers.levels), None)


def kick_off(request: ExportRequest, base_url: str, *, post: bool = False) -> KickOff:
    """Return the request that begins an export.

    It is a POST of Parameters where `post` asks for it, where Patients are named (a URL is written into every
    log on the way), and where a URL would be too long.

    >>> request = ExportRequest(level="group", group="g1", types=("Patient", "Observation"))
    >>> kick_off(request, "https://ehr.example.org/fhir").url
    'https://ehr.example.org/fhir/Group/g1/$export?_outputFormat=application/fhir%2Bndjson&_type=Patient,Observation'
    """
    url = f"{base_url.rstrip('/')}/{place_of(request)}"
    pairs = parameters(request)
    query = urlencode(pairs, safe=",:/", quote_via=quote)
    if post or request.patients or len(query) > LONGEST_QUERY:
        headers = {**ASYNCHRONOUS, "Content-Type": "application/fhir+json"}
        return KickOff("POST", url, headers, _resource(request))
    return KickOff("GET", f"{url}?{query}", ASYNCHRONOUS, None)


def place_of(request: ExportRequest) -> str:
    """Return where below the base an export is asked for."""
    match request.level:
        case "group":
            return f"Group/{quote(request.group or '', safe='')}/$export"
        case "patient":
            return "Patient/$export"
        case "system":
            return "$export"


def parameters(request: ExportRequest) -> list[tuple[str, str]]:
    """Return the parameters of an export but for its Patients.

    Types are one list, which every server reads; filters are repeated, since commas mean something in them.
    """
    pairs = [("_outputFormat", request.output_format)]
    if request.types:
        pairs.append(("_type", ",".join(request.types)))
    if request.since is not None:
        pairs.append(("_since", request.since))
    pairs += [("_typeFilter", text) for text in request.type_filters]
    if request.elements:
        pairs.append(("_elements", ",".join(request.elements)))
    if request.associated:
        pairs.append(("includeAssociatedData", ",".join(request.associated)))
    return pairs


def remarks_of(content: bytes) -> list[Remark]:
    """Return the remarks of an OperationOutcome; none of what is no such thing."""
    try:
        issues = _outcomes.decode(content).issue or ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    return [
        Remark(
            issue.severity if issue.severity in {*FAILED, "warning", "information"} else "error",
            issue.code if issue.code in CODES else "unknown",
        )
        for issue in issues
    ]


def is_transient(remarks: list[Remark]) -> bool:
    """Return True when a server says that asking again later may help."""
    return any(remark.code in TRANSIENT for remark in remarks)


def _levels(operation: _Operation, kind: str | None) -> set[Level]:
    """Return what an operation exports; version 1 had all three at the top, told apart by definition."""
    name, definition = (operation.name or "").removeprefix("$"), operation.definition or ""
    if "export" not in name:
        return set()
    if GROUP_EXPORT in (name, definition.rpartition("/")[2].partition("|")[0]) or kind == "Group":
        return {"group"}
    if PATIENT_EXPORT in (name, definition.rpartition("/")[2].partition("|")[0]) or kind == "Patient":
        return {"patient"}
    return {"system"} if name == "export" and kind is None else set()


def _resource(request: ExportRequest) -> bytes:
    kinds = {"_since": "valueInstant", "includeAssociatedData": "valueCode"}
    parts: list[dict[str, object]] = []
    for name, text in parameters(request):
        values = text.split(",") if name == "includeAssociatedData" else [text]
        parts += [{"name": name, kinds.get(name, "valueString"): value} for value in values]
    parts += [
        {"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}} for id_ in request.patients
    ]
    return msgspec.json.encode({"resourceType": "Parameters", "parameter": parts})
