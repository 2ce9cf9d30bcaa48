"""A small synthetic ward as a FHIR server shows it: an answer depends on the URL and the ward's clock."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from incoming import SNOMED, Json, administration, observation, patient, weight

BEGINNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
SUBJECTS = frozenset({"patient", "subject", "individual"})
KINDS = (
    *("Patient", "Medication", "Specimen", "Observation", "MedicationAdministration"),
    *("Condition", "AdverseEvent", "Encounter", "QuestionnaireResponse"),
)


class Answer(NamedTuple):
    """What a server says to one request."""

    status: int
    body: bytes
    headers: dict[str, str]


class Ward:
    """Resources in their versions; each write is a second later than the one before."""

    def __init__(self, base_path: str = "/fhir") -> None:
        self.base_path = base_path
        self.now = BEGINNING
        self.current: dict[tuple[str, str], Json] = {}
        self.events: list[tuple[datetime, str, str, int, Json | None]] = []

    # -- what happens on it --------------------------------------------------------------------------------

    def put(self, *resources: Json) -> None:
        """Write new versions of resources."""
        for resource in resources:
            self.now += timedelta(seconds=1)
            kind, key = resource["resourceType"], resource["id"]
            number = 1 + sum(event[1:3] == (kind, key) for event in self.events)
            written = deepcopy(resource) | {
                "meta": {"versionId": str(number), "lastUpdated": _text(self.now)}
            }
            self.current[kind, key] = written
            self.events.append((self.now, kind, key, number, written))

    def delete(self, kind: str, key: str) -> None:
        """Delete a resource."""
        self.now += timedelta(seconds=1)
        del self.current[kind, key]
        number = 1 + sum(event[1:3] == (kind, key) for event in self.events)
        self.events.append((self.now, kind, key, number, None))

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    # -- what it answers -----------------------------------------------------------------------------------

    def answer(self, target: str, origin: str) -> Answer:
        """Return the answer to a GET of a path with its query; `origin` is where links lead."""
        parts = urlsplit(target)
        path = [unquote(one) for one in parts.path.removeprefix(self.base_path).strip("/").split("/")]
        query = parse_qsl(parts.query, keep_blank_values=True)
        headers = {"Date": format_datetime(self.now, usegmt=True), "Content-Type": "application/fhir+json"}
        if path == ["metadata"]:
            return Answer(200, _json(_statement()), headers)
        if path[0] not in KINDS:
            return Answer(404, _json(_outcome("not-supported")), headers)
        if len(path) == 1:
            return Answer(200, _json(self._search(path[0], query, f"{origin}{parts.path}")), headers)
        if path[1] == "_history":
            return Answer(200, _json(self._history(path[0], dict(query))), headers)
        found = self.current.get((path[0], path[1]))
        if found is not None:
            return Answer(200, _json(found), headers)
        known = any(event[1:3] == (path[0], path[1]) for event in self.events)
        return Answer(410 if known else 404, _json(_outcome("deleted")), headers)

    def _search(self, kind: str, query: list[tuple[str, str]], url: str) -> Json:
        found = [one for (kind_, _), one in self.current.items() if kind_ == kind and _fits(one, query)]
        said = dict(query)
        size, offset = int(said.get("_count", "20")), int(said.get("_offset", "0"))
        order = said.get("_sort", "_id")
        if ("_summary", "count") in query:
            return {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        found.sort(key=lambda one: one["id"])
        if order.endswith("_lastUpdated"):
            found.sort(key=lambda one: one["meta"]["lastUpdated"], reverse=order.startswith("-"))
        links = [{"relation": "self", "url": f"{url}?{urlencode(query)}"}]
        if offset + size < len(found):
            rest = [pair for pair in query if pair[0] != "_offset"]
            following = urlencode([*rest, ("_offset", str(offset + size))])
            links.append({"relation": "next", "url": f"{url}?{following}"})
        page = [{"resource": one, "search": {"mode": "match"}} for one in found[offset : offset + size]]
        return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": page}

    def _history(self, kind: str, query: dict[str, str]) -> Json:
        since = datetime.fromisoformat(query["_since"])
        page = [_event(event) for event in reversed(self.events) if event[1] == kind and event[0] >= since]
        return {"resourceType": "Bundle", "type": "history", "entry": page}


def admit(ward: Ward, patients: int = 5) -> None:
    """Write a few dozen resources of all types."""
    ward.put(*_medications("riluzole", "edaravone"), *_specimens(2))
    for number in range(1, patients + 1):
        ward.put(*_chart(f"p{number}", number))
    ward.wait(hours=1)


def go_on(ward: Ward) -> None:
    """Change, correct, add and delete something of every type; merge two Patients."""
    ward.wait(hours=20)
    ward.put(_replaced(patient("p2"), "p1"), patient("p3", gender="male"), *_chart("p6", 6))
    ward.put(
        *_medications("edaravone"), {"resourceType": "Specimen", "id": "s9", "type": _coded("119297000")}
    )
    ward.put(
        observation("p1-alt", 58.25, "Patient/p1"),
        observation("p3-alt", 40, "Patient/p4"),
        observation("p4-alt", 40, "Patient/p4", status="entered-in-error"),
        observation("p1-late", 71, "Patient/p1", specimen={"reference": "Specimen/s9"}),
        weight("p5-weight", 71.5, "2024-03-01", subject="Patient/p5"),
        observation("p1-spoilt", ["bad"], "Patient/p1"),
    )
    for kind, key in (
        ("Observation", "p5-alt"),
        ("Condition", "p4-condition"),
        ("MedicationAdministration", "p5-dose"),
        ("AdverseEvent", "p3-event"),
        ("Encounter", "p5-visit"),
        ("QuestionnaireResponse", "p4-form"),
    ):
        ward.delete(kind, key)
    ward.wait(hours=1)


def _chart(key: str, number: int) -> Iterator[Json]:
    """Yield what one synthetic subject's chart holds."""
    subject = f"Patient/{key}"
    yield patient(key, birthDate=f"19{50 + number}-05-01", identifier=[{"system": "urn:mrn", "value": key}])
    yield weight(f"{key}-weight", 60 + number, "2024-03-01", subject=subject)
    yield observation(f"{key}-alt", 30 + number, subject)
    yield observation(f"{key}-ast", 20 + number, subject, specimen={"reference": f"Specimen/s{number % 2}"})
    yield _panel(key, subject)
    yield administration(
        f"{key}-dose",
        subject={"reference": subject},
        medicationReference={"reference": f"Medication/m{number % 2}"},
        dosage={"dose": {"value": 1e6, "unit": "{cells}/kg", "code": "{cells}/kg"}},
    )
    yield {
        "resourceType": "Condition",
        "id": f"{key}-condition",
        "code": _coded("86044005"),
        "subject": {"reference": subject},
        "onsetDateTime": "2021-07",
    }
    yield {
        "resourceType": "AdverseEvent",
        "id": f"{key}-event",
        "actuality": "actual",
        "event": {"text": "headache"},
        "subject": {"reference": subject},
        "date": "2024-03-06",
    }
    yield {
        "resourceType": "Encounter",
        "id": f"{key}-visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": subject},
        "period": {"start": "2024-03-05", "end": "2024-03-05"},
    }
    yield {
        "resourceType": "QuestionnaireResponse",
        "id": f"{key}-form",
        "status": "completed",
        "subject": {"reference": subject},
        "authored": "2024-03-05",
        "item": [{"linkId": "82940-8", "answer": [{"valueInteger": 3}]}],
    }


def _panel(key: str, subject: str) -> Json:
    members = [{"reference": f"Observation/{key}-{name}"} for name in ("alt", "ast")]
    found = observation(f"{key}-panel", 0, subject, hasMember=members)
    del found["valueQuantity"]
    return found


def _medications(*texts: str) -> list[Json]:
    return [
        {"resourceType": "Medication", "id": f"m{number}", "code": {"text": text}}
        for number, text in zip(count(), texts, strict=False)
    ]


def _specimens(number: int) -> list[Json]:
    return [
        {"resourceType": "Specimen", "id": f"s{one}", "type": _coded("119361006")} for one in range(number)
    ]


def _replaced(record: Json, survivor: str) -> Json:
    return record | {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/{survivor}"}}]}


def _coded(code: str) -> Json:
    return {"coding": [{"system": SNOMED, "code": code}]}


def _about(resource: Json) -> str | None:
    return resource.get("subject", {}).get("reference", "").removeprefix("Patient/") or None


def _fits(resource: Json, query: list[tuple[str, str]]) -> bool:
    """Return whether a resource is what a search asks for."""
    for name, value in query:
        if name == "_lastUpdated" and not _is_in(resource["meta"]["lastUpdated"], value):
            return False
        if name == "_id" and resource["id"] not in value.split(","):
            return False
        if name in SUBJECTS and _about(resource) not in value.replace("Patient/", "").split(","):
            return False
    return True


def _is_in(updated: str, bound: str) -> bool:
    at, limit = datetime.fromisoformat(updated), datetime.fromisoformat(bound[2:])
    return at < limit if bound.startswith("lt") else at >= limit


def _event(event: tuple[datetime, str, str, int, Json | None]) -> Json:
    at, kind, key, number, resource = event
    response = {"status": "204", "lastModified": _text(at), "etag": f'W/"{number}"'}
    if resource is None:
        return {"request": {"method": "DELETE", "url": f"{kind}/{key}"}, "response": response}
    return {"resource": resource, "request": {"method": "PUT", "url": f"{kind}/{key}"}}


def _statement() -> Json:
    offers: list[Any] = [
        {"type": kind, "interaction": [{"code": "search-type"}, {"code": "history-type"}]} for kind in KINDS
    ]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "synthetic ward"},
        "rest": [{"mode": "server", "resource": offers}],
    }


def _outcome(code: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _json(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
