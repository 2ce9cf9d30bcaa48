"""What a patient's chart says leaves through mapped columns only: not in errors, logs, issues or names."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from incoming import NOW, Json, administration, bundle, cohort_of, line, ndjson, observation, patient, totals

from fhiradapter import api
from fhiradapter.errors import FhirAdapterError

CANARY = "Kanarienvogel"
NAME = {"name": [{"family": CANARY, "given": [f"{CANARY}-given"], "text": f"{CANARY}-text"}]}
TEXT = {"text": {"status": "generated", "div": f"<div>{CANARY}</div>"}, "note": [{"text": CANARY}]}
PRIVATE: Json = {
    "identifier": [{"system": f"urn:{CANARY}", "value": CANARY}],
    "address": [{"city": CANARY}],
    **NAME,
}
SUBJECT = {"reference": "Patient/p1", "display": CANARY}

# Each is wrong in another way, with the canary where it is wrong or beside it.
BROKEN: dict[str, Json] = {
    "wrong type": observation(valueQuantity={"value": CANARY}),
    "wrong type in depth": observation(code={"coding": [{"system": [CANARY], "code": CANARY}]}),
    "canary as an element's name": observation(valueQuantity={CANARY: CANARY, "value": {CANARY: CANARY}}),
    "unknown status": observation(status=CANARY),
    "unknown comparator": observation(valueQuantity={"value": 1, "comparator": CANARY}),
    "unknown unit": observation(valueQuantity={"value": 1, "unit": CANARY}),
    "invalid date": observation(effectiveDateTime=f"{CANARY} 1970"),
    "no date": observation(effectiveDateTime=None, **TEXT),
    "unknown modifier": observation(
        modifierExtension=[{"url": "https://example.org/x", "valueString": CANARY}]
    ),
    "modifier in a strange element": observation(
        **{CANARY: {"modifierExtension": [{"url": "https://example.org/x"}]}}
    ),
    "implicit rules": observation(implicitRules=f"https://example.org/{CANARY}"),
    "score in words": observation(
        code={"coding": [{"system": "http://loinc.org", "code": "82940-8"}]},
        valueQuantity=None,
        valueString=CANARY,
    ),
    "score out of range": observation(
        code={"coding": [{"system": "http://loinc.org", "code": "82940-8"}]},
        valueQuantity={"value": 7},
        **TEXT,
    ),
    "subject by identifier": observation()
    | {"subject": {"identifier": {"system": "urn:mrn", "value": CANARY}}},
    "conditional subject": observation(subject=f"Patient?identifier=urn:mrn|{CANARY}"),
    "subject in words": observation() | {"subject": {"display": CANARY}},
    "medication that was not received": administration(
        medicationCodeableConcept=None, medicationReference={"reference": "Medication/x", "display": CANARY}
    ),
    "wrong type of a birth date": patient("p2", birthDate=[CANARY]),
    "unknown gender": patient("p2", gender=CANARY),
    "invalid birth date": patient("p2", birthDate=CANARY),
    "identifier of two people": patient("p3", **PRIVATE),
    "unread type": {"resourceType": "Consent", "id": "c", "patient": SUBJECT, **TEXT},
    "no type": {"id": "x", **PRIVATE},
    "question with a name in it": {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "status": "completed",
        "subject": SUBJECT,
        "item": [{"linkId": "82940-8", "text": CANARY, "answer": [{"valueString": CANARY}]}],
    },
    "words as a linkId": {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "status": "completed",
        "subject": SUBJECT,
        "item": [{"linkId": f"asked by {CANARY}", "answer": [{"valueQuantity": {"comparator": CANARY}}]}],
    },
}
BYTES: dict[str, bytes] = {
    "truncated": line(observation(**TEXT))[:-9],
    "invalid UTF-8": line(observation(note=CANARY)).replace(b"vogel", b"vogel\xff"),
    "NUL": line(observation(note=CANARY)).replace(b"vogel", b"vogel\x00"),
    "two in a line": line(observation(note=CANARY)) * 2,
    "words": f"could not export {CANARY}".encode(),
    "too deep": line(observation(note="@")).replace(b'"@"', b'{"Kanarienvogel":[' * 60 + b"]}" * 60),
}


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Any:
    """Listen to every logger and both streams, and find nothing of the chart in them."""
    caplog.set_level(logging.DEBUG)
    yield
    streams = capfd.readouterr()
    assert CANARY not in caplog.text + streams.out + streams.err


@pytest.mark.parametrize("name", [*BROKEN, *BYTES])
def test_issues_do_not_quote_the_chart(name: str, tmp_path: Path) -> None:
    """Reason, path, detail, ids and file names tell what is wrong without saying what was written."""
    broken = line(BROKEN[name]) if name in BROKEN else BYTES[name]
    (tmp_path / "a.ndjson").write_bytes(line(patient(**PRIVATE)) + b"\n" + broken + b"\n")
    cohort = cohort_of(tmp_path)
    assert totals(cohort)[0] == 2
    for row in cohort.arrow("issues").to_pylist():
        assert CANARY not in repr(row)
    assert CANARY not in repr(cohort.accounting)


@pytest.mark.parametrize("name", [*BROKEN, *BYTES])
def test_one_resource_in_a_library_call_does_not_quote_the_chart(name: str) -> None:
    """map_resource says what the specification finds wrong, by element and rule."""
    broken: Any = BROKEN.get(name) or BYTES[name]
    mapped = api.map_resource(broken, now=NOW)
    assert CANARY not in repr(mapped.cohort.arrow("issues").to_pylist())


@pytest.mark.parametrize(
    "source",
    [
        f"<Patient><name><family value='{CANARY}'/></name></Patient>",
        f"MSH|^~\\&|LAB\rPID|1||7||{CANARY}",
        f"id,name\n7,{CANARY}\n",
        [f"{CANARY}\n{CANARY}"],
        [patient(**PRIVATE, photo=object())],
        [(CANARY, 7)],
        [{CANARY}],
        [CANARY.encode()],
        [{"resourceType": "Patient", "name": CANARY, (1, 2): CANARY}],
    ],
    ids=["XML", "HL7 v2", "CSV", "lines", "object", "tuple", "set", "bytes", "odd key"],
)
def test_errors_of_wrong_calls_do_not_quote_the_argument(source: Any) -> None:
    """A chart that was handed over in the wrong form is not repeated in the message, nor in its cause."""
    try:
        cohort = cohort_of(source)
    except FhirAdapterError as error:
        told: BaseException | None = error
        while told is not None:
            assert CANARY not in str(told)
            told = told.__cause__
        return
    assert CANARY not in repr(cohort.arrow("issues").to_pylist())


def test_names_texts_and_addresses_have_no_column(tmp_path: Path) -> None:
    """Nothing of a name, an address or a narrative is in any table, nor in any file of a written cohort."""
    sent = [patient(**NAME, address=[{"city": CANARY}], **TEXT), observation(**TEXT), administration(**TEXT)]
    (tmp_path / "in.json").write_text(json.dumps(bundle("collection", [{"resource": one} for one in sent])))
    accounts = api.map_to_folder(tmp_path / "in.json", api.anonymous_study(), tmp_path / "out", now=NOW)
    assert accounts["Patient"].mapped == 1
    cohort = cohort_of(tmp_path / "in.json")
    for table in cohort.tables:
        assert CANARY not in repr(cohort.arrow(table).to_pylist())
    for file in (tmp_path / "out").iterdir():
        assert CANARY not in file.name
        assert CANARY.encode() not in file.read_bytes()


def test_an_identifier_stays_in_its_column() -> None:
    """The subject of a reference by identifier has a name that does not show it."""
    identifier = {"system": "urn:mrn", "value": CANARY}
    sent = [observation(name) | {"subject": {"identifier": identifier}} for name in ("o1", "o2")]
    cohort = cohort_of(ndjson([patient(identifier=[identifier]), *sent]))
    for table in cohort.tables.keys() - {"subjects"}:
        assert CANARY not in repr(cohort.arrow(table).to_pylist())
    without = cohort_of(sent)
    assert all(CANARY not in repr(without.arrow(table).to_pylist()) for table in without.tables)
