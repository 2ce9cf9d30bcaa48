"""The folder of the definitions is found wherever the package is installed."""

from pathlib import Path

import pytest

from fhiradapter.definitions import check_definitions, mappings_folder
from fhiradapter.errors import DefinitionsError


def installed(place: Path) -> Path:
    """Put a landmark where an installation would have it."""
    place.mkdir(parents=True)
    (place / "concepts.csv").touch()
    return place


def test_a_wheel_holds_the_folder_inside_the_package(tmp_path: Path) -> None:
    """Site-packages has fhiradapter/mappings."""
    expected = installed(tmp_path / "fhiradapter" / "mappings")
    assert mappings_folder(package=tmp_path / "fhiradapter") == expected


def test_a_checkout_has_the_folder_beside_the_package(tmp_path: Path) -> None:
    """A checkout, and an editable install of it, has mappings next to fhiradapter."""
    expected = installed(tmp_path / "mappings")
    assert mappings_folder(package=tmp_path / "fhiradapter") == expected


def test_the_wheel_goes_before_a_folder_of_that_name_beside_it(tmp_path: Path) -> None:
    """Another project's mappings in site-packages is not ours."""
    installed(tmp_path / "mappings")
    expected = installed(tmp_path / "fhiradapter" / "mappings")
    assert mappings_folder(package=tmp_path / "fhiradapter") == expected


def test_a_foreign_folder_is_not_taken(tmp_path: Path) -> None:
    """A folder called mappings without our files is passed over, and the error says what to do."""
    (tmp_path / "mappings").mkdir()
    with pytest.raises(DefinitionsError, match="install it again"):
        mappings_folder(package=tmp_path / "fhiradapter")


def test_this_installation_has_its_folder() -> None:
    """The folder found from here holds definitions without a mistake."""
    assert (mappings_folder() / "units.csv").is_file()
    assert check_definitions() == []
