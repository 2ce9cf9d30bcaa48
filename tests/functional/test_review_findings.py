"""Outdated versions, panels by any reference, receipts that agree with the account, faults of a mapper."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fhiradapter import build_cohort, map_to_folder
from fhiradapter.api import anonymous_study
from fhiradapter.mappers import kernel

TOTAL = {"coding": [{"system": "http://loinc.org", "code": "82953-1"}]}


def score(identity: str, version: str, value: int, **changes: Any) -> dict[str, Any]:
    """A total score in one version."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "meta": {"versionId": version},
        "status": "final",
        "code": TOTAL,
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2024-03-01",
        "valueInteger": value,
        **changes,
    }


def test_an_unreadable_newer_version_marks_the_older() -> None:
    """Version 2 is out of range and quarantined; version 1 stays, and says that it is outdated."""
    cohort = build_cohort([score("a", "1", 20), score("a", "2", 99)])
    assert cohort.measurements["value"].tolist() == [20.0]
    assert {"OUTDATED", "INVALID_SCORE"} <= set(cohort.issues["reason"])


@pytest.mark.parametrize(
    "form", ["Observation/m", "Observation/m/_history/1", "https://h.example.org/fhir/Observation/m"]
)
def test_a_panel_finds_its_member(form: str) -> None:
    """Relative, versioned and absolute references name the same member."""
    panel = score("panel", "1", 20, hasMember=[{"reference": form}])
    cohort = build_cohort([panel, score("m", "1", 30)])
    parents = cohort.measurements.set_index("resource_id")["parent_id"]
    assert parents["m"] == "input/Observation/panel"


def test_receipts_agree_with_the_account(tmp_path: Path) -> None:
    """Of three receipts one is superseded and one a copy: the table of receipts says so too."""
    (tmp_path / "a.ndjson").write_text(
        "\n".join(json.dumps(one) for one in (score("a", "1", 20), score("a", "2", 21), score("a", "2", 21)))
    )
    account = map_to_folder(tmp_path / "a.ndjson", anonymous_study(), tmp_path / "out")["Observation"]
    receipts = pq.read_table(tmp_path / "out/receipts.parquet").to_pylist()
    assert account.mapped == sum(one["disposition"] == "mapped" for one in receipts) == 1
    assert sorted(one["reason"] for one in receipts if one["reason"]) == ["DUPLICATE", "SUPERSEDED"]


def test_a_fault_of_a_mapper_takes_one_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapper that fails on one resource quarantines that one, and the others are mapped."""
    from fhiradapter.fhir.elements import Observation

    sound = kernel.MAPPERS_BY_CLASS[Observation]

    def failing(resource: Observation, context: Any) -> Any:
        if resource.id == "bad":
            raise IndexError
        return sound.map(resource, context)

    monkeypatch.setitem(kernel.MAPPERS_BY_CLASS, Observation, sound._replace(map=failing))
    account = build_cohort([score("good", "1", 20), score("bad", "1", 20)]).accounting["Observation"]
    assert (account.mapped, account.quarantined) == (1, 1)
