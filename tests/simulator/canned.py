"""A server that gives the answers that a test wrote, by the end of the URL; everything synthetic."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from fhiradapter.fhir.fetching import NO_HEADERS, Reply

BASE = "https://ehr.example.org/fhir"
Json = dict[str, Any]
Answer = Callable[[str], "Json | bytes | tuple[int, Json | bytes]"]


class Canned:
    """Answers with whatever a function of the URL after the base returns; notes what was asked."""

    def __init__(self, answer: Answer, *, date: str | None = "Thu, 01 Jan 2026 12:00:00 GMT") -> None:
        self.base_url = BASE
        self.answer = answer
        self.headers = {"Date": date} if date else {}
        self.asked: list[str] = []

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        """Return the answer."""
        self.asked.append(url)
        given = self.answer(url.removeprefix(BASE + "/"))
        status, body = given if isinstance(given, tuple) else (200, given)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Reply(status, self.headers, content, url)


def bundle(*resources: Json, following: str | None = None, **more: Any) -> Json:
    """Return a searchset of resources."""
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    links = [{"relation": "next", "url": following}] if following is not None else []
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **more}


def condition(key: str, updated: str = "2026-01-01T00:00:00.000Z", version: str = "1", **more: Any) -> Json:
    """Return a Condition."""
    meta = {"versionId": version, "lastUpdated": updated}
    return {"resourceType": "Condition", "id": key, "meta": meta, **more}


def outcome(severity: str, code: str = "informational") -> Json:
    """Return an OperationOutcome with text that must go nowhere."""
    issue = {"severity": severity, "code": code, "diagnostics": "CANARY John Doe"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
