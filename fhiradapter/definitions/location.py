"""The place of the `mappings` folder: beside the code in a wheel, beside the package in a checkout."""

from pathlib import Path

from fhiradapter.errors import DefinitionsError

# A folder called "mappings" may belong to anyone; ours holds this file.
LANDMARK = "concepts.csv"


def mappings_folder(*, package: Path | None = None) -> Path:
    """Find the folder with the shipped definitions.

    `package` is the folder of the `fhiradapter` package, by default the one this module was loaded from.
    A wheel holds `fhiradapter/mappings`; a checkout, also when installed editable, has `mappings` beside it.
    Raises DefinitionsError when neither is there.
    """
    package = package or Path(__file__).resolve().parents[1]
    for folder in (package / "mappings", package.parent / "mappings"):
        if (folder / LANDMARK).is_file():
            return folder
    raise DefinitionsError("the folder `mappings` was not installed with fhiradapter; install it again")
