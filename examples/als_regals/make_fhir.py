"""Twenty-four synthetic people in two arms, written as the NDJSON that two hospitals would send."""

import json
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import assessments
import people
import treatment
from design import SUBJECTS, Subject
from elements import Resource


def of_all(*parts: Callable[[Subject], Iterable[Resource]]) -> list[Resource]:
    """Everything that some parts write, subject by subject."""
    return list(chain.from_iterable(part(subject) for subject in SUBJECTS for part in parts))


def study() -> dict[str, list[Resource]]:
    """File name -> its resources; a questionnaire form is no Observation."""
    measured = of_all(
        assessments.scores,
        assessments.capacity,
        assessments.blood,
        assessments.neurofilament,
        treatment.temperatures,
    )
    return {
        "Patient": [people.patient(subject) for subject in SUBJECTS],
        "ResearchStudy": list(people.studies()),
        "ResearchSubject": of_all(people.enrolments),
        "Condition": of_all(people.conditions),
        "Encounter": of_all(treatment.encounters),
        "MedicationAdministration": of_all(treatment.infusions),
        "Observation": [each for each in measured if each["resourceType"] == "Observation"],
        "QuestionnaireResponse": [
            each for each in measured if each["resourceType"] == "QuestionnaireResponse"
        ],
        "AdverseEvent": of_all(people.adverse_events),
    }


def main(folder: Path) -> None:
    """Write one NDJSON file per resource type into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, resources in study().items():
        lines = (json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in resources)
        (folder / f"{kind}.ndjson").write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "fhir")
