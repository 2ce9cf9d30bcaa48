"""Several sources in one study: persons are linked by identifier, and a fact sent twice counts once."""

from pathlib import Path
from typing import Any

from fhiradapter import build_cohort, load_study

FIRST = [
    '{"resourceType":"Patient","id":"1","identifier":[{"system":"mrn","value":"7"}]}',
    '{"resourceType":"Patient","id":"2"}',
    '{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/1"},'
    '"code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"effectiveDateTime":"2024-03-01T10:00:00Z",'
    '"valueQuantity":{"value":14,"unit":"g/dL"}}',
]
SECOND = [
    '{"resourceType":"Patient","id":"1"}',
    '{"resourceType":"Patient","id":"9","identifier":[{"system":"mrn","value":"7"}]}',
    # The same haemoglobin in another unit and by another code, and one of an hour later.
    '{"resourceType":"Observation","id":"b","status":"final","subject":{"reference":"Patient/9"},'
    '"code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hb"}]},'
    '"effectiveDateTime":"2024-03-01T05:00:00-05:00","valueQuantity":{"value":140,"unit":"g/L"}}',
    '{"resourceType":"Observation","id":"c","status":"final","subject":{"reference":"Patient/9"},'
    '"code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"effectiveDateTime":"2024-03-01T11:00:00Z",'
    '"valueQuantity":{"value":140,"unit":"g/L"}}',
]


def two_sources(folder: Path) -> Any:
    """The cohort of both sources."""
    (folder / "first.ndjson").write_text("\n".join(FIRST))
    (folder / "second.ndjson").write_text("\n".join(SECOND))
    (folder / "study.toml").write_text(
        '[study]\nid = "two"\ntitle = "Two sources"\n'
        '[[sources]]\nname = "a"\npath = ["first.ndjson"]\n'
        '[[sources]]\nname = "b"\npath = ["second.ndjson"]\n'
    )
    return build_cohort(None, load_study(folder / "study.toml"))


def test_one_person_in_two_sources(tmp_path: Path) -> None:
    """b:9 has the identifier of a:1, so its facts are a:1's; b:1 has only the same id, so it is another."""
    cohort = two_sources(tmp_path)
    subjects = cohort.subjects.set_index("subject_id")["replaced_by"]
    assert subjects.to_dict()["b:9"] == "a:1"
    assert subjects.isna().sum() == 3
    assert set(cohort.measurements["subject_id"]) == {"a:1"}


def test_one_fact_in_two_sources(tmp_path: Path) -> None:
    """The first source's row is kept, the other is counted as ignored, and nothing else goes."""
    cohort = two_sources(tmp_path)
    assert sorted(cohort.measurements["row_id"]) == ["a/Observation/a", "b/Observation/c"]
    account = cohort.accounting["Observation"]
    assert (account.received, account.mapped, account.ignored) == (3, 2, {"SAME_FACT": 1})
    assert cohort.issues["reason"].tolist() == ["SAME_FACT"]
