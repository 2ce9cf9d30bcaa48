"""FHIR R4 resources of the 128 people in `data/`, written as NDJSON."""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = "https://doi.org/10.1186/s40035-021-00257-y"  # Witzel et al. 2021; licence: data/LICENSE

# The data give months since symptom onset and no calendar dates: this day is invented, intervals are real.
ONSET = datetime(2010, 1, 1, tzinfo=UTC)
SECONDS_PER_HUNDREDTH = 26_298  # times have at most two decimals, and 0.01 x 30.4375 days are whole seconds

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

Resource = dict[str, Any]
Row = dict[str, str]


def moment(months: str) -> datetime:
    """Return the instant that lies `months` after symptom onset, exact to the second."""
    whole, _, decimals = months.partition(".")
    hundredths = int(whole) * 100 + int((decimals + "00")[:2])
    return ONSET + timedelta(seconds=hundredths * SECONDS_PER_HUNDREDTH)


def instant(moment_: datetime) -> str:
    return moment_.strftime("%Y-%m-%dT%H:%M:%SZ")


def number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def patient(row: Row, first_visit: datetime) -> Resource:
    """Sex, the year of birth that the age at first visit implies, and whether a death was recorded."""
    return {
        "resourceType": "Patient",
        "id": row["patient"],
        "meta": {"source": SOURCE},
        "gender": row["gender"],
        "birthDate": str(first_visit.year - int(row["age"])),
        # months_survived stays in the CSV: 46 values lie before a later visit, so it is no date of death.
        "deceasedBoolean": row["deceased"] == "1",
    }


def condition(row: Row) -> Resource:
    """ALS, with the region of onset in the words of the diagnosis."""
    return {
        "resourceType": "Condition",
        "id": f"{row['patient']}-als",
        "meta": {"source": SOURCE},
        "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": coded(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"
        ),
        "code": {
            "coding": [{"system": SNOMED, "code": "86044005", "display": "Amyotrophic lateral sclerosis"}],
            "text": f"Amyotrophic lateral sclerosis, {row['onset']} onset",
        },
        "subject": {"reference": f"Patient/{row['patient']}"},
        "onsetDateTime": instant(ONSET),
    }


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(row: Row, visit: int, name: str, *, category: str, code: str, display: str) -> Resource:
    """Return what the score, the neurofilament and the body mass index of a visit have in common."""
    return {
        "resourceType": "Observation",
        "id": f"{row['patient']}-visit-{visit:02d}-{name}",
        "meta": {"source": SOURCE},
        "status": "final",
        "category": [coded(CATEGORY, category)],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}]},
        "subject": {"reference": f"Patient/{row['patient']}"},
        "effectiveDateTime": instant(moment(row["time"])),
    }


def score(row: Row, visit: int) -> Resource:
    rater = {"reference": f"Practitioner/rater-{row['rater']}", "display": f"{row['rater']} rater"}
    name = "ALSFRS-R total score"
    total = observation(row, visit, "alsfrs-r", category="survey", code="82953-1", display=name)
    return total | {"performer": [rater], "valueInteger": int(row["ALSFRSR"])}


def neurofilament(row: Row, visit: int) -> Resource:
    """Serum NfL; its LOINC code covers plasma too, so the specimen is what tells the two apart."""
    serum = {
        "resourceType": "Specimen",
        "id": "serum",
        "type": {"coding": [{"system": SNOMED, "code": "119364003", "display": "Serum specimen"}]},
        "subject": {"reference": f"Patient/{row['patient']}"},
    }
    result = observation(
        row,
        visit,
        "nfl",
        category="laboratory",
        code="101281-4",
        display="Neurofilament light chain in Serum or Plasma by Immunoassay",
    )
    return result | {
        "contained": [serum],
        "specimen": {"reference": "#serum"},
        "valueQuantity": {"value": number(row["nfl"]), "unit": "pg/mL", "system": UCUM, "code": "pg/mL"},
    }


def body_mass_index(row: Row, visit: int) -> Resource:
    quantity = {"value": number(row["bmi"]), "unit": "kg/m2", "system": UCUM, "code": "kg/m2"}
    return observation(row, visit, "bmi", category="vital-signs", code="39156-5", display="BMI") | {
        "valueQuantity": quantity
    }


def observations(rows: list[Row]) -> Iterator[Resource]:
    """Every measurement, in the order of the CSV; the visit number counts a person's rows, both raters."""
    visits: dict[str, int] = {}
    for row in rows:
        visit = visits[row["patient"]] = visits.get(row["patient"], 0) + 1
        yield score(row, visit)
        if row["nfl"] != "NA":
            yield neurofilament(row, visit)
        if row["bmi"] != "NA":
            yield body_mass_index(row, visit)


def read(file: Path) -> list[Row]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def write(file: Path, resources: list[Resource]) -> None:
    lines = (json.dumps(resource, separators=(",", ":")) + "\n" for resource in resources)
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


def main(folder: Path) -> None:
    """Write Patient.ndjson, Condition.ndjson and Observation.ndjson into the folder."""
    people = read(HERE / "data" / "patients.csv")
    rows = read(HERE / "data" / "timepoints.csv")
    first_visit: dict[str, datetime] = {}
    for row in rows:
        visit = moment(row["time"])
        first_visit[row["patient"]] = min(visit, first_visit.get(row["patient"], visit))
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "Patient.ndjson", [patient(row, first_visit[row["patient"]]) for row in people])
    write(folder / "Condition.ndjson", [condition(row) for row in people])
    write(folder / "Observation.ndjson", list(observations(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "fhir")
