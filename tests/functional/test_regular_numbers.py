"""Numbers of regular results come out as exact decimals do, however quantities are written."""

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from both_ways import same_both_ways

from fhiradapter.api import build_cohort

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = (
    *("0", "-0", "0.0", "-0.0", "1.10", "1.1", "7", "-3.5", "98.60", "1e2", "1.5E-1", "12E+0", "1e999"),
    *("0.000000000000000000000000001", "123456789012345678", "9007199254740993", "0.1234567890123456789"),
    *("101.3", "4.35", "2.675", "1.005", "0.1", "0.7", "1e-400", "null", '"12"', "true"),
)
TESTS = (  # two that are kept as sent, two with a factor, one with an offset, one that no code list knows
    *(("1742-6", "U/L"), ("777-3", "10*3/uL"), ("2160-0", "mg/dL"), ("718-7", "g/dL")),
    *(("8310-5", "[degF]"), ("0-0", "x")),
)


def quantity(number: str, unit: str, style: str) -> str:
    """A Quantity as text, written in one of several ways."""
    rest = [f'"unit":"{unit}"', '"system":"http://unitsofmeasure.org"', f'"code":"{unit}"']
    members = {
        "tight": [f'"value":{number}', *rest],
        "spaced": [f'"value": {number}', *(one.replace(":", ": ", 1) for one in rest)],
        "loose": [f' "value" :  {number} ', *rest],
        "last": [*rest, f'"value":{number}'],
        "alone": [f'"value":{number}'],
        "twice": [f'"value":{number}', *rest, '"value":12'],
        "escaped": [f'"value":{number}', *rest, '"\\u0076alue":12'],
        "bound": [f'"value":{number}', '"comparator":"<"', *rest],
        "extended": [f'"value":{number}', '"extension":[{"url":"x","valueDecimal":3}]', *rest],
    }[style]
    return "{" + (", " if style == "spaced" else ",").join(members) + "}"


def observation(number: int, code: str, value: str) -> str:
    """An Observation as text (synthetic)."""
    made = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/p{number % 7}"},
        "encounter": {"reference": f"Encounter/e{number % 11}"},
        "effectiveDateTime": "2024-03-01T10:00:00Z",
        "performer": [{"reference": "Organization/lab"}],
        "valueQuantity": "HERE",
    }
    return json.dumps(made).replace('"HERE"', value)


@pytest.mark.parametrize("style", ["tight", "spaced", "loose", "last", "alone", "extended", "mixed"])
def test_numbers_agree_however_they_are_written(
    style: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Plain and odd numbers of six codes, in one way of writing or in all, are the same both ways."""
    draw = random.Random(7)
    ways = ["tight", "spaced", "loose", "last", "twice", "escaped", "bound", "extended"]
    lines = []
    for number in range(1_500):
        code, unit = draw.choice(TESTS)
        plain = draw.random() < 0.9
        text = f"{draw.uniform(0, 300):.{draw.randrange(5)}f}" if plain else draw.choice(NUMBERS)
        way = draw.choice(ways) if style == "mixed" else style
        lines.append(observation(number, code, quantity(text, unit, way)))
    taken = same_both_ways(lines, None, monkeypatch, tmp_path)
    print(f"{style}: {taken} of {len(lines)} by columns")
    assert taken > 500 or style == "alone"  # without a unit there is something to say of each


@pytest.mark.parametrize("style", ["twice", "escaped", "bound"])
def test_what_follows_a_number_may_say_more_of_it(
    style: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A value that comes twice, or a comparator, is not passed over after plain ones of the same unit."""
    plain = [observation(n, "1742-6", quantity(f"{n}.5", "U/L", "tight")) for n in range(1, 200)]
    odd = [observation(n, "1742-6", quantity(f"{n}.5", "U/L", style)) for n in range(200, 400)]
    same_both_ways(
        [*plain, *odd, *(line.replace('"o', '"again', 1) for line in plain)], None, monkeypatch, tmp_path
    )


def test_converted_values_are_exact_decimals_rounded_once(tmp_path: Path) -> None:
    """Hemoglobin from g/dL to g/L is ten times the decimal that was sent, and not ten times its double."""
    draw = random.Random(11)
    texts = [f"{draw.uniform(3, 20):.{draw.randrange(1, 13)}f}" for _ in range(2_000)]
    lines = [observation(n, "718-7", quantity(text, "g/dL", "tight")) for n, text in enumerate(texts)]
    (tmp_path / "in.ndjson").write_text("\n".join(lines))
    rows = build_cohort(tmp_path / "in.ndjson", now=NOW).arrow("measurements")
    assert rows.column("source_value").to_pylist() == texts
    assert rows.column("value").to_pylist() == [float(Decimal(text) * 10) for text in texts]
    assert any(float(text) * 10 != float(Decimal(text) * 10) for text in texts)
