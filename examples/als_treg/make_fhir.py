"""Six synthetic people with ALS, written as the NDJSON that hospitals would send."""

import json
import random
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import breathing
import laboratory
import people
import scores
import trajectories
import treatment
from design import SUBJECTS, Subject
from elements import Resource

SEED = 20_250_101


def visits(subject: Subject) -> Iterable[Resource]:
    """Encounters of the infusions, and of the follow-up visits without one."""
    for day in subject.dose_days:
        yield treatment.encounter(subject, day, "infusion")
    for day in sorted(set(subject.score_days) - set(subject.dose_days)):
        yield treatment.encounter(subject, day, "clinic")


def administrations(subject: Subject) -> Iterable[Resource]:
    for day in subject.dose_days:
        yield from treatment.premedication(subject, day)
        yield treatment.infusion(subject, day)
    yield from treatment.not_given(subject)


def observations(subject: Subject, totals: dict[int, int]) -> Iterable[Resource]:
    """Scores, vital signs, weights, blood and vital capacity; each kind has its own seeded chance."""
    yield from people.onset_observation(subject)
    yield from scores.assessments(subject, trajectories.items(subject, totals, SEED))
    chance = random.Random(f"{SEED} {subject.id} vital signs")
    for day in subject.dose_days:
        yield from treatment.vital_signs(subject, day, chance)
    yield from laboratory.weights(subject, random.Random(f"{SEED} {subject.id} weight"))
    yield from laboratory.results(subject, random.Random(f"{SEED} {subject.id} blood"))
    yield from (result for _, result in laboratory.neurofilament(subject))
    yield from breathing.vital_capacity(subject, random.Random(f"{SEED} {subject.id} breathing"))


def study() -> dict[str, list[Resource]]:
    """File name -> its resources, subject by subject; a questionnaire form is no Observation."""
    totals = trajectories.totals(SUBJECTS, SEED)

    def of_all(part: Iterable[Iterable[Resource]]) -> list[Resource]:
        return list(chain.from_iterable(part))

    measured = of_all(observations(subject, totals[subject.id]) for subject in SUBJECTS)
    return {
        "Patient": [people.patient(subject) for subject in SUBJECTS],
        "Condition": of_all(people.conditions(subject) for subject in SUBJECTS),
        "Encounter": of_all(visits(subject) for subject in SUBJECTS),
        "Medication": list(treatment.medications(SUBJECTS)),
        "MedicationAdministration": of_all(administrations(subject) for subject in SUBJECTS),
        "MedicationStatement": of_all(treatment.background(subject) for subject in SUBJECTS),
        "Observation": [each for each in measured if each["resourceType"] == "Observation"],
        "QuestionnaireResponse": [
            each for each in measured if each["resourceType"] == "QuestionnaireResponse"
        ],
        "Specimen": [tube for subject in SUBJECTS for tube, _ in laboratory.neurofilament(subject)],
        "AdverseEvent": of_all(people.adverse_events(subject) for subject in SUBJECTS),
    }


def main(folder: Path) -> None:
    """Write one NDJSON file per resource type into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, resources in study().items():
        lines = (json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in resources)
        (folder / f"{kind}.ndjson").write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "fhir")
