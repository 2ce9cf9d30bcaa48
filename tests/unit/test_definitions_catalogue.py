"""The catalogue: what the shipped definitions and a site's overlay say together."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from fhiradapter import definitions
from fhiradapter.definitions import Catalogue, load_catalogue, mappings_folder
from fhiradapter.errors import DefinitionsError

EXAMPLE = mappings_folder() / "sites" / "example_hospital.toml"


@pytest.fixture(scope="module")
def with_site() -> Catalogue:
    """Read the shipped definitions with the example hospital's overlay."""
    return load_catalogue(site=EXAMPLE)


def test_every_name_of_the_shop_window_is_there() -> None:
    """`__all__` is true."""
    assert sorted(definitions.__all__) == definitions.__all__
    assert all(hasattr(definitions, name) for name in definitions.__all__)


def test_a_catalogue_is_read_once() -> None:
    """The same arguments give the same object."""
    assert load_catalogue() is load_catalogue()
    assert load_catalogue(site=EXAMPLE) is load_catalogue(site=EXAMPLE)
    assert load_catalogue(site=EXAMPLE).digest != load_catalogue().digest


def test_scores_are_strict_and_whole() -> None:
    """The twelve ALSFRS-R items, the fifth in two forms, are 0 to 4, the total 0 to 48, and nothing else."""
    concepts = load_catalogue().concepts
    items = [concept for concept in concepts.values() if concept.kind == "score_item"]
    assert len(items) == 13
    assert {(item.low, item.high, item.strict, item.integer) for item in items} == {(0, 4, True, True)}
    total = concepts["alsfrs_r_total"]
    assert (total.low, total.high, total.strict, total.integer) == (0, 48, True, True)


def test_a_concept_carries_its_rules() -> None:
    """Neurofilament is split by specimen; glucose has its molar factor, albumin and a diagnosis have none."""
    concepts = load_catalogue().concepts
    assert concepts["nfl_serum_plasma"].specimen_rule == "matrix"
    assert concepts["nfl_serum_plasma"].canonical_unit == "pg/mL"
    assert concepts["glucose"].molar == Decimal("0.0555")
    assert concepts["bilirubin_total"].molar == Decimal("17.104")
    assert concepts["sodium"].molar is None
    assert concepts["albumin"].molar is None
    assert concepts["als"].canonical_unit is None


def test_every_concept_but_one_has_a_code() -> None:
    """Only aldesleukin is known by its names alone; products are the site's."""
    catalogue = load_catalogue()
    used = set(catalogue.codes.values()) | set(catalogue.specimens.values())
    assert set(catalogue.concepts) - used == {"aldesleukin"}
    assert catalogue.concepts["aldesleukin"].kind == "interleukin_2"
    assert catalogue.concept_of_text("Aldesleukin") == "aldesleukin"


def test_a_site_adds_its_own(with_site: Catalogue) -> None:
    """Local systems, codes, texts, products, units, specimens and questions are found."""
    assert with_site.site == "Example Hospital (synthetic)"
    assert with_site.time_zone == "America/New_York"
    assert with_site.concept("urn:oid:1.2.3.4.5.6.7", "NFL-P") == "nfl_serum_plasma"
    assert with_site.concept_of_text("alsfrs-r total  (Clinic form)") == "alsfrs_r_total"
    assert with_site.concept_of_text("ALSFRS-R total") is None
    assert with_site.concept("https://hospital.example/pharmacy", "INV-0042") == "treg_product"
    assert with_site.concepts["treg_product"].kind == "product"
    assert with_site.concepts["treg_product"].display == "Regulatory T cells (synthetic)"
    assert with_site.unit_assignments == {
        "inr": "{INR}",
        "https://hospital.example/lab-codes|NFL-P": "pg/mL",
    }
    assert with_site.units.dose_cells("100", "mill. cells") == (1e8, False)
    assert with_site.matrix("https://hospital.example/specimens", "EDTA-P") == "plasma"
    assert with_site.specimen_texts["edta plasma"] == "plasma"
    form = "https://hospital.example/fhir/Questionnaire/alsfrs-r"
    assert with_site.questionnaire_items == {(form, "q1"): "alsfrs_r_01_speech"}
    assert len(with_site.allowed_modifiers) == 1


def test_a_site_changes_nothing_for_others(with_site: Catalogue) -> None:
    """The shipped catalogue has none of what a site added."""
    shipped = load_catalogue()
    assert shipped.concept("https://hospital.example/pharmacy", "INV-0042") is None
    assert shipped.units.canonical("mill. cells") is None
    assert shipped.time_zone is None
    assert shipped.unit_assignments == {}
    assert set(shipped.codes) < set(with_site.codes)


def test_a_question_may_hold_in_any_form(tmp_path: Path) -> None:
    """Without a questionnaire, or with an empty one, a linkId is known in every form."""
    site = tmp_path / "site.toml"
    site.write_text(
        '[[questionnaire]]\nlink_id = "a"\nconcept = "alsfrs_r_08_walking"\n'
        '[[questionnaire]]\nquestionnaire = ""\nlink_id = "b"\nconcept = "alsfrs_r_09_stairs"\n'
    )
    items = load_catalogue(site=site).questionnaire_items
    assert items == {("", "a"): "alsfrs_r_08_walking", ("", "b"): "alsfrs_r_09_stairs"}


def test_wrong_definitions_are_not_loaded(tmp_path: Path) -> None:
    """The error names each file and line, and says how many more there are."""
    site = tmp_path / "site.toml"
    site.write_text('[[units]]\nconcept = "inr"\nunit = "furlong"\n' * 7)
    with pytest.raises(DefinitionsError, match=r"site\.toml:1: unknown unit 'furlong'") as caught:
        load_catalogue(site=site)
    assert str(caught.value).splitlines()[-1] == "and 2 more"


def test_definitions_load_without_the_heavy_libraries() -> None:
    """Start-up stays light: reading the definitions imports neither pandas nor pyarrow nor numpy."""
    code = (
        "import sys; from fhiradapter.definitions import load_catalogue; load_catalogue();"
        "print([name for name in ('numpy', 'pandas', 'pyarrow', 'fhir') if name in sys.modules])"
    )
    package = Path(definitions.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
