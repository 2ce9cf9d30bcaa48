"""A FHIR server whose every field about patients holds a mark, and which fails in whatever way is asked."""

import gzip
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
UPDATED = "2025-03-01T10:00:00.000Z"


class Marks:
    """Words that stand nowhere else; `marks["family name"]` is the same one each time."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def __getitem__(self, field: str) -> str:
        return self.known.setdefault(field, f"Kanarie{len(self.known):02d}q")

    def found_in(self, text: str) -> list[str]:
        """Return the fields whose marks are in a text, in any case."""
        lower = text.lower()
        encoded = {
            field: b64encode(mark.encode()).decode().lower()[:12] for field, mark in self.known.items()
        }
        plain = [field for field, mark in self.known.items() if mark.lower() in lower]
        return plain + [field for field in encoded if encoded[field] in lower and field == "photo"]


MARKS = Marks()
BIRTH, VALUE = "1931-02-17", 7331.409
MARKS.known |= {"birth date": BIRTH, "numeric value": str(VALUE)}
PATIENT = MARKS["Patient id"]


def meta(**more: Any) -> Json:
    """Return the meta of a resource."""
    return {"versionId": "1", "lastUpdated": UPDATED, **more}


def subject() -> Json:
    """Return a reference to the Patient, with a name."""
    return {"reference": f"Patient/{PATIENT}", "display": MARKS["display of a reference"]}


def text(kind: str) -> Json:
    """Return a narrative."""
    return {
        "text": {"status": "generated", "div": f"<div>{MARKS[f'narrative of {kind}']}</div>"},
        "note": [{"text": MARKS[f"note of {kind}"], "authorString": MARKS["author of a note"]}],
    }


def chart() -> dict[str, list[Json]]:
    """Return what the server has by type: each readable once, and each not."""
    score = {"coding": [{"system": "http://loinc.org", "code": "1742-6"}], "text": MARKS["text of a code"]}
    patient = {
        "resourceType": "Patient",
        "id": PATIENT,
        "meta": meta(source=f"#{MARKS['source of meta']}"),
        "identifier": [
            {"system": "urn:mrn", "value": MARKS["MRN"]},
            {"system": f"urn:{MARKS['system of an identifier']}", "value": MARKS["other identifier"]},
        ],
        "name": [
            {"family": MARKS["family name"], "given": [MARKS["given name"]], "text": MARKS["whole name"]}
        ],
        "telecom": [{"system": "phone", "value": MARKS["telephone"]}],
        "address": [
            {"line": [MARKS["street"]], "city": MARKS["city"], "postalCode": MARKS["postal code"]},
        ],
        "contact": [{"name": {"family": MARKS["name of a contact"]}}],
        "photo": [{"data": b64encode(MARKS["photo"].encode()).decode(), "title": MARKS["title of a file"]}],
        "generalPractitioner": [{"display": MARKS["practitioner"]}],
        "extension": [{"url": "https://example.org/faith", "valueString": MARKS["extension"]}],
        "gender": "female",
        "birthDate": BIRTH,
        **text("Patient"),
    }
    observation = {
        "resourceType": "Observation",
        "id": MARKS["Observation id"],
        "meta": meta(),
        "status": "final",
        "code": score,
        "subject": subject(),
        "encounter": {"reference": f"Encounter/{MARKS['Encounter id']}"},
        "effectiveDateTime": "2025-01-01T08:00:00Z",
        "valueQuantity": {"value": VALUE, "unit": "U/L", "code": "U/L"},
        "interpretation": [{"text": MARKS["interpretation"]}],
        "performer": [{"display": MARKS["performer"]}],
        **text("Observation"),
    }
    readable: list[Json] = [
        patient,
        observation,
        {
            "resourceType": "MedicationAdministration",
            "id": MARKS["MedicationAdministration id"],
            "meta": meta(),
            "status": "completed",
            "medicationCodeableConcept": {"text": MARKS["medication in words"]},
            "subject": subject(),
            "effectiveDateTime": "2025-01-01T08:00:00Z",
            "dosage": {"text": MARKS["dosage in words"]},
            **text("MedicationAdministration"),
        },
        {
            "resourceType": "Condition",
            "id": MARKS["Condition id"],
            "meta": meta(),
            "code": {"text": MARKS["diagnosis in words"]},
            "subject": subject(),
            "onsetString": MARKS["onset in words"],
            **text("Condition"),
        },
        {
            "resourceType": "AdverseEvent",
            "id": "ae",
            "meta": meta(),
            "actuality": "actual",
            "event": {"text": MARKS["event in words"]},
            "subject": subject(),
            "date": "2025-01-02",
        },
        {
            "resourceType": "Encounter",
            "id": MARKS["Encounter id"],
            "meta": meta(),
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": subject(),
            "reasonCode": [{"text": MARKS["reason of an encounter"]}],
            "period": {"start": "2025-01-01T07:00:00Z"},
        },
        {
            "resourceType": "QuestionnaireResponse",
            "id": "qr",
            "meta": meta(),
            "status": "completed",
            "subject": subject(),
            "authored": "2025-01-03",
            "item": [
                {
                    "linkId": MARKS["link id"],
                    "text": MARKS["question"],
                    "answer": [{"valueString": MARKS["answer"]}],
                }
            ],
        },
    ]
    broken = [
        {**patient, "id": MARKS["id of a Patient in quarantine"], "birthDate": [MARKS["wrong type"]]},
        {**observation, "id": "bad-1", "valueQuantity": {"value": MARKS["words as a value"]}},
        {**observation, "id": "bad-2", MARKS["name of an element"]: {"modifierExtension": [{"url": "u:x"}]}},
        {**observation, "id": "bad-3", "status": MARKS["status"]},
        {**observation, "id": "bad-4", "effectiveDateTime": MARKS["date in words"]},
        {**observation, "id": f"bad of {MARKS['id that is none']}", "implicitRules": "https://example.org/r"},
        {**observation, "id": "bad-5", "subject": {"identifier": {"value": MARKS["subject by identifier"]}}},
    ]
    found: dict[str, list[Json]] = {}
    for resource in [*readable, *broken]:
        found.setdefault(resource["resourceType"], []).append(resource)
    return found


def outcome(severity: str) -> Json:
    """Return what a server says of an error, with what it should not say."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": severity,
                "code": MARKS["code of an outcome"].lower(),
                "diagnostics": MARKS["diagnostics"],
                "details": {"text": MARKS["details of an outcome"]},
                "expression": [MARKS["expression of an outcome"]],
            }
        ],
    }


class Ward:
    """The server's state: its chart and how it fails."""

    def __init__(self) -> None:
        self.chart = chart()
        self.failing = ""
        self.base = ""
        self.asked: list[str] = []

    def answer(self, url: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        self.asked.append(url)
        parts = urlsplit(url)
        place = parts.path.removeprefix("/fhir/").split("/")
        query = parse_qs(parts.query)
        if place == ["metadata"]:
            return 200, {}, self._metadata()
        if self.failing in FAILURES and place[0] not in {"Patient", ".well-known"}:
            return FAILURES[self.failing](self)
        return self._found(place, query)

    def _metadata(self) -> bytes:
        types = [
            {"type": kind, "interaction": [{"code": "history-type"}, {"code": "search-type"}]}
            for kind in self.chart
        ]
        statement = {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "description": MARKS["description of the server"],
            "software": {"name": MARKS["software"]},
            "rest": [{"mode": "server", "resource": types}],
        }
        return json.dumps(statement).encode()

    def _found(self, place: list[str], query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        kind = place[0]
        rows = self.chart.get(kind, [])
        if len(place) == 2 and place[1] != "_history":
            rows = [row for row in rows if row["id"] == place[1]]
            return (200, {}, json.dumps(rows[0]).encode()) if rows else (404, {}, b"{}")
        for bound in query.get("_lastUpdated", []):
            if (bound[:2] == "ge") != (bound[2:] <= UPDATED):
                rows = []
        if any(name in query for name in ("patient", "subject", "individual")):
            rows = []
        if "_id" in query:
            rows = [row for row in rows if row["id"] in query["_id"][0].split(",")]
        if "_since" in query and query["_since"][0] > UPDATED:
            rows = []
        entries = [{"resource": row, "search": {"mode": "match"}} for row in rows]
        entries.append({"resource": outcome("warning"), "search": {"mode": "outcome"}})
        bundle = "history" if place[1:] == ["_history"] else "searchset"
        content = {"resourceType": "Bundle", "type": bundle, "total": len(rows), "entry": entries}
        return 200, {}, json.dumps(content).encode()


def _page(ward: Ward, following: str) -> bytes:
    entries = [{"resource": row, "search": {"mode": "match"}} for row in ward.chart["Observation"][:1]]
    content = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    return json.dumps({**content, "link": [{"relation": "next", "url": following}]}).encode()


def _html() -> bytes:
    link = f"<a href='/x?q={MARKS['query of a page']}'></a>"
    return f"<html><title>{MARKS['HTML page']}</title>{link}</html>".encode()


def _whole() -> bytes:
    return json.dumps({"resourceType": "Bundle", "x": MARKS["body that is cut off"]}).encode()


MARKED = {"X-Request-Id": MARKS["header"], "Set-Cookie": f"who={MARKS['cookie']}"}
FAILURES: dict[str, Any] = {
    "500 with diagnostics": lambda _: (500, MARKED, json.dumps(outcome("error")).encode()),
    "503 with words as Retry-After": lambda _: (503, {"Retry-After": MARKS["Retry-After"]}, _html()),
    "HTML with 200": lambda _: (200, {"Content-Type": "text/html"}, _html()),
    "401": lambda _: (401, {"WWW-Authenticate": f'Bearer realm="{MARKS["realm"]}"'}, _html()),
    "403": lambda _: (403, MARKED, json.dumps(outcome("fatal")).encode()),
    "an outcome as the body": lambda _: (200, {}, json.dumps(outcome("error")).encode()),
    "next link to somebody else": lambda ward: (
        200,
        {},
        _page(ward, f"https://{MARKS['foreign host']}.example/?name={MARKS['query of a next link']}"),
    ),
    "next link that loops": lambda ward: (
        200,
        {},
        _page(ward, f"{ward.base}/Observation?name={MARKS['query of a loop']}"),
    ),
    "redirect": lambda _: (302, {"Location": f"https://example.org/{MARKS['redirect']}"}, b""),
    "truncated body": lambda _: (200, {"Content-Length": "100000"}, _whole()),
    "truncated gzip": lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(_whole())[:-9]),
    "truncated JSON": lambda _: (200, {}, _whole()[:-9]),
    "invalid UTF-8": lambda _: (200, {}, _whole() + b"\xff\xfe"),
    "another type": lambda _: (
        200,
        {},
        json.dumps(
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": {"resourceType": MARKS["type"], "id": MARKS["id of another type"]}}],
            }
        ).encode(),
    ),
}


@contextmanager
def charted() -> Iterator[Ward]:
    """Serve a ward on this machine."""
    ward = Ward()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, headers, body = ward.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if int(headers.get("Content-Length", len(body))) != len(body):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ward.base = f"http://127.0.0.1:{server.server_address[1]}/fhir"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield ward
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
