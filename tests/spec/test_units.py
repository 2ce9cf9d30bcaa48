"""Units: what a value in one unit is in another, worked out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhiradapter.definitions import load_catalogue

CATALOGUE = load_catalogue()
UNITS = CATALOGUE.units


def converted(concept: str, value: str, unit: str) -> float | None:
    """Convert one value to the concept's canonical unit."""
    conversion = UNITS.conversion(CATALOGUE.concepts[concept], unit)
    return None if conversion is None else UNITS.convert(value, conversion)


# Each product is worked out by hand: the factor is the one in the clinical reference.
HAND_COMPUTED = """
bilirubin_total   1.2    mg/dL     20.5248     umol/L    1.2 x 17.104
bilirubin_total   12     mg/L      20.5248     umol/L    12 mg/L is 1.2 mg/dL
creatinine        0.9    mg/dL     79.578      umol/L    0.9 x 88.42
creatinine        0.1    mmol/L    100         umol/L    1 mmol is 1000 umol
calcium           10     mg/dL     2.495       mmol/L    10 x 0.2495
calcium           5      mEq/L     2.5         mmol/L    two charges
calcium_ionised   2.4    mEq/L     1.2         mmol/L    two charges
glucose           100    mg/dL     5.55        mmol/L    100 x 0.0555
glucose_fasting   90     mg/dl     4.995       mmol/L    90 x 0.0555
urate             6      mg/dL     356.88      umol/L    6 x 59.48
phosphate         3.5    mg/dL     1.13015     mmol/L    3.5 x 0.3229
magnesium         2      mg/dL     0.8228      mmol/L    2 x 0.4114
magnesium         1.7    mEq/L     0.85        mmol/L    two charges
sodium            140    mEq/L     140         mmol/L    one charge
potassium         4.1    meq/L     4.1         mmol/L    one charge
hemoglobin        13.5   g/dL      135         g/L       1 L is 10 dL
albumin           4.2    g/dL      42          g/L       1 L is 10 dL
crp               0.8    mg/dL     8           mg/L      1 L is 10 dL
fibrinogen        350    mg/dL     3.5         g/L       350 x 0.01
ferritin          250    ng/mL     250         ug/L      the same
interleukin_6     7      ng/L      7           pg/mL     the same
nfl_serum_plasma  41.3   ng/L      41.3        pg/mL     the same
alt               55     IU/L      55          U/L       an enzyme's international unit
alt               0.5    ukat/L    30          U/L       1 ukat is 60 umol/min
platelets         150    K/uL      150         10*9/L    1 L is 10^6 uL
platelets         150000 /uL       150         10*9/L    1 L is 10^6 uL
platelets         150000 10*3/mL   150         10*9/L    1 L is 10^3 mL
leukocytes        4500   cells/mm3 4.5         10*9/L    1 mm3 is 1 uL
neutrophils       2500   10*6/L    2.5         10*9/L    10^9 is 1000 x 10^6
lymphocytes       1.1    G/L       1.1         10*9/L    giga
body_temperature  98.6   °F        37          Cel       66.6 x 5 / 9
body_temperature  212    degF      100         Cel       180 x 5 / 9
body_temperature  310.15 K         37          Cel       310.15 - 273.15
body_weight       150    lb        68.0388555  kg        150 x 0.45359237
body_weight       70500  g         70.5        kg        1 kg is 1000 g
body_height       1.78   m         178         cm        1 m is 100 cm
body_height       70     inch      177.8       cm        70 x 2.54
fvc_litres        3250   mL        3.25        L         1 L is 1000 mL
heart_rate        72     bpm       72          /min      the same
heart_rate        1.2    Hz        72          /min      60 s
systolic_bp       16     kPa       120.01      mm[Hg]    16 / 0.133322 is 120.0102
aptt              30     sec       30          s         the same
inr               1.1    1         1.1         {INR}     a ratio
alsfrs_r_total    36     1         36          {score}   a score
""".strip()


@pytest.mark.parametrize("line", HAND_COMPUTED.splitlines(), ids=lambda line: " ".join(line.split()[:3]))
def test_a_value_converts_as_by_hand(line: str) -> None:
    """A value in a sender's unit becomes the value that a hand calculation gives, in the canonical unit."""
    concept, value, unit, expected, canonical, *_ = line.split()
    conversion = UNITS.conversion(CATALOGUE.concepts[concept], unit)
    assert conversion is not None
    assert conversion.canonical_unit == canonical
    tolerance = 1e-4 if unit == "kPa" else 1e-15
    assert UNITS.convert(value, conversion) == pytest.approx(float(expected), rel=tolerance)


def test_conversion_rounds_once() -> None:
    """8.2 x 17.104 is 140.2528 to the last bit, which the product of the two floats is not."""
    assert converted("bilirubin_total", "8.2", "mg/dL") == 140.2528
    assert 8.2 * 17.104 != 140.2528
    assert converted("body_temperature", "98.6", "[degF]") == 37.0


def test_thousand_per_millilitre_is_not_thousand_per_microlitre() -> None:
    """10*3/mL and 10*3/uL differ by a thousand."""
    assert converted("platelets", "250", "10*3/uL") == 250.0
    assert converted("platelets", "250", "10*3/mL") == 0.25


@pytest.mark.parametrize(
    ("concept", "unit"),
    [
        ("hemoglobin", "mmol/L"),  # chains or tetramers: nobody can say
        ("hemoglobin", "G/L"),  # giga per litre is a count
        ("platelets", "g/L"),
        ("glucose", "mEq/L"),  # glucose has no charge
        ("glucose", ""),
        ("glucose", " "),
        ("inr", ""),
        ("alt", "furlong"),
        ("body_weight", "cm"),
        ("als", "mg/dL"),  # a diagnosis has no unit
    ],
)
def test_what_cannot_be_known_is_not_converted(concept: str, unit: str) -> None:
    """A unit that does not fit the test, or none at all, converts nothing."""
    assert UNITS.conversion(CATALOGUE.concepts[concept], unit) is None


@pytest.mark.parametrize("unit", ["", " ", "1", "{score}", "score", "points"])
def test_a_score_needs_no_unit(unit: str) -> None:
    """A score arrives with {score}, 1, a word, a blank or nothing, and stays as it is."""
    conversion = UNITS.conversion(CATALOGUE.concepts["alsfrs_r_05a_cutting"], unit)
    assert conversion is not None
    assert conversion.identity
    assert UNITS.convert("3", conversion) == 3.0


@pytest.mark.parametrize("value", ["NaN", "inf", "-Infinity", "1e400", "", "seven", "1,5"])
@pytest.mark.parametrize("unit", ["mmol/L", "mg/dL"])
def test_no_number_is_refused(value: str, unit: str) -> None:
    """A text that is not a finite decimal number raises ValueError, with or without a factor."""
    conversion = UNITS.conversion(CATALOGUE.concepts["glucose"], unit)
    assert conversion is not None
    with pytest.raises(ValueError, match=r"not a|could not convert"):
        UNITS.convert(value, conversion)


SPELLINGS = """
mg/dl          mg/dL
MG/DL          mg/dL
MG / DL        mg/dL
K/uL           10*3/uL
K/ul           10*3/uL
k/µl           10*3/uL
THOU/UL        10*3/uL
10^9/L         10*9/L
10⁹/L          10*9/L
x10E9/L        10*9/L
X10E9/L        10*9/L
x 10^9 / L     10*9/L
×10⁹/L         10*9/L
10e9/l         10*9/L
10**9/L        10*9/L
x10(9)/L       10*9/L
10x3/uL        10*3/uL
M/uL           10*6/uL
cells/uL       {cells}/uL
/mm3           /mm3
cells/mm³      {cells}/mm3
million cells  10*6.{cells}
Million Cells  10*6.{cells}
10^6 cells     10*6.{cells}
x10^6 cells    10*6.{cells}
10*6{cells}    10*6.{cells}
IU/L           U/L
u/l            U/L
µmol/L         umol/L
μmol/L         umol/L
MMOL/L         mmol/L
mEq/L          meq/L
mcg/L          ug/L
mmHg           mm[Hg]
mm Hg          mm[Hg]
degF           [degF]
°F             [degF]
deg C          Cel
bpm            /min
BPM            /min
lb             [lb_av]
lbs            [lb_av]
LBS            [lb_av]
%              %
kg/m²          kg/m2
g/l            g/L
G/l            10*9/L
""".strip()


@pytest.mark.parametrize("line", SPELLINGS.splitlines())
def test_a_spelling_means_its_ucum_code(line: str) -> None:
    """The ways in which laboratories write a unit all lead to its UCUM code."""
    text, code = line.rsplit(maxsplit=1)
    assert UNITS.canonical(text.strip()) == code


@pytest.mark.parametrize(
    "text", ["", " ", "\u00a0", "Mg", "Mg/dL", "Mg/L", "ML", "Mmol/L", "Pg/mL", "MG", "S", "103/uL", "mgs"]
)
def test_a_text_with_another_or_no_meaning_is_no_unit(text: str) -> None:
    """Megagrams and megalitres are not milligrams and millilitres; a power without its sign is no power."""
    assert UNITS.canonical(text) is None


@pytest.mark.parametrize("code", sorted(UNITS.codes))
def test_an_exact_ucum_code_stays(code: str) -> None:
    """No spelling takes a UCUM code of the table over."""
    assert UNITS.canonical(code) == code


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("100", "10*6", (1e8, False)),
        ("100", "10*6.{cells}", (1e8, False)),
        ("100000000", "{cells}", (1e8, False)),
        ("100000000", "1", (1e8, False)),
        ("100000000", "cells", (1e8, False)),
        ("100", "million cells", (1e8, False)),
        ("100", "10^6 cells", (1e8, False)),
        ("100", "x10^6 cells", (1e8, False)),
        ("1", "10*8", (1e8, False)),
        ("1.5", "10*6/kg", (1.5e6, True)),
        ("1.5", "10*6.{cells}/kg", (1.5e6, True)),
        ("1500000", "cells/kg", (1.5e6, True)),
        ("1.5", "million cells/kg", (1.5e6, True)),
    ],
)
def test_a_dose_is_counted_in_cells(value: str, unit: str, expected: tuple[float, bool]) -> None:
    """A dose of cells becomes cells, or cells per kg of body weight."""
    assert UNITS.dose_cells(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("100", ""),
        ("100", " "),
        ("100", "mL"),
        ("100", "mg/kg"),
        ("many", "{cells}"),
        ("NaN", "10*6"),
        ("1/2", "1"),
    ],
)
def test_a_bare_number_or_another_unit_is_no_dose(value: str, unit: str) -> None:
    """Without a unit of cells there is no dose of cells."""
    assert UNITS.dose_cells(value, unit) is None


CONVERTIBLE = [
    (concept.name, unit)
    for concept in CATALOGUE.concepts.values()
    for unit in sorted(UNITS.codes)
    if UNITS.conversion(concept, unit) is not None
]


@given(
    pair=st.sampled_from(CONVERTIBLE),
    value=st.decimals(min_value=Decimal("-1e6"), max_value=Decimal("1e6"), places=4),
)
def test_a_conversion_can_be_undone(pair: tuple[str, str], value: Decimal) -> None:
    """Undoing factor and offset in plain arithmetic gives the value back, for every test and unit."""
    name, unit = pair
    conversion = UNITS.conversion(CATALOGUE.concepts[name], unit)
    assert conversion is not None
    back = (UNITS.convert(str(value), conversion) - float(conversion.offset)) / float(conversion.factor)
    assert back == pytest.approx(float(value), rel=1e-9, abs=abs(float(conversion.offset)) * 1e-9 + 1e-9)


def test_the_canonical_unit_is_the_identity() -> None:
    """A value in the canonical unit is left as it is, for every concept that has one."""
    with_unit = [concept for concept in CATALOGUE.concepts.values() if concept.canonical_unit]
    assert len(with_unit) > 50
    for concept in with_unit:
        conversion = UNITS.conversion(concept, concept.canonical_unit or "")
        assert conversion is not None, concept.name
        assert conversion.identity, concept.name


def test_conversions_of_hostile_units_are_not_kept_for_ever() -> None:
    """A source with a new unit on every value does not fill the memory."""
    units = load_catalogue().units
    glucose = CATALOGUE.concepts["glucose"]
    for number in range(12_000):
        assert units.conversion(glucose, f"unit {number}") is None
    assert len(units._conversions) <= 10_000
