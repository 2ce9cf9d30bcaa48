"""The checker names the file and the line of every kind of mistake."""

import shutil
from pathlib import Path

import pytest

from fhiradapter.definitions import check_definitions, load_catalogue, mappings_folder
from fhiradapter.errors import DefinitionsError

SHIPPED = mappings_folder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the shipped definitions, to be spoilt."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "mappings"))


def last_line(path: Path) -> int:
    """Count the lines of a file."""
    return path.read_text(encoding="utf-8").count("\n")


def append(path: Path, line: str) -> int:
    """Add a line to a file and return its number."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    return last_line(path)


@pytest.mark.parametrize("site", sorted((SHIPPED / "sites").glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_file_is_clean(site: Path) -> None:
    """The shipped definitions, and each shipped overlay on top of them, have no finding."""
    assert check_definitions() == []
    assert check_definitions(site=site) == []


APPENDED = [
    ("codelists/labs.csv", "ast,http://loinc.org,1742-6,ALT,", "1742-6 is mapped to ast here and to alt at"),
    ("codelists/labs.csv", "alt,http://loinc.org,1742-6,ALT,", "1742-6 is mapped to alt already at"),
    ("codelists/labs.csv", "alt,https://loinc.org/,1742-6,ALT,", "1742-6 is mapped to alt already at"),
    (
        "codelists/vitals.csv",
        "ast,http://loinc.org,1742-6,ALT,",
        "1742-6 is mapped to ast here and to alt at",
    ),
    ("codelists/labs.csv", "altt,http://loinc.org,2339-0,ALT,", "unknown concept 'altt'"),
    ("codelists/labs.csv", "alt,http://loinc.org,1743-5,ALT,", "LOINC 1743-5 fails its check digit"),
    ("codelists/labs.csv", "nfl_serum_plasma,http://loinc.org,94505-5,NfL,", "94505-5 must never be mapped"),
    ("codelists/labs.csv", "alt,http://loinc.org,,ALT,", "must be filled in"),
    ("codelists/labs.csv", "alt,http://loinc.org,2339-0,ALT, total,", "6 cells, but 5 columns"),
    ("codelists/labs.csv", 'alt,http://loinc.org,2339-0,"ALT" total,', "not a comma-separated line"),
    ("never_map.csv", "http://loinc.org,94505-5,again", "94505-5 stands already on line"),
    ("never_map.csv", "http://loinc.org,2339-0,", "must be filled in"),
    ("concepts.csv", "alt,lab,U/L,0,1,,,,ALT,", "concept alt is declared already on line"),
    ("concepts.csv", "new,labb,U/L,0,1,,,,New,", "unknown kind 'labb'"),
    ("concepts.csv", "new,lab,furlong,0,1,,,,New,", "unknown unit 'furlong'"),
    ("concepts.csv", "new,lab,U/L,low,1,,,,New,", "plausible_low is 'low', not a decimal number"),
    ("concepts.csv", "new,lab,U/L,2,1,,,,New,", "plausible_low 2 is above plausible_high 1"),
    ("concepts.csv", "new,lab,U/L,0,,yes,,,New,", "a strict concept needs"),
    ("concepts.csv", "new,lab,U/L,0,1,,maybe,,New,", "integer is 'maybe'"),
    ("concepts.csv", "new,lab,U/L,0,1,,,tube,New,", "unknown specimen rule 'tube'"),
    ("units.csv", "mg/hL,ucum,mass_concentration,g/L,ten,0,", "factor 'ten' is not a decimal number"),
    ("units.csv", "mg/hL,ucum,mass_concentration,g/L,0,0,", "factor '0' is not a decimal number above zero"),
    ("units.csv", "mg/hL,ucum,mass_concentration,g/L,1/0,0,", "factor '1/0' is not a decimal number"),
    ("units.csv", "mg/hL,ucum,mass_concentration,g/L,NaN,0,", "factor 'NaN' is not a decimal number"),
    ("units.csv", "mg/hL,ucum,mass_concentration,g/L,1,x,", "offset 'x' is not a decimal number"),
    ("units.csv", "mg/hL,ucum,mass_concentration,furlong,1,0,", "unknown unit 'furlong'"),
    ("units.csv", "mg/hL,ucum,mass_concentration,mg/L,1,0,", "mass_concentration is kept in g/L"),
    ("units.csv", "mg/dL,ucum,mass_concentration,g/L,0.01,0,", "mg/dL stands already on line"),
    ("units.csv", "mg/hL,unit,mass_concentration,g/L,1,0,", "unknown kind 'unit'"),
    ("units.csv", "miligram,spelling,,furlong,,,", "unknown unit 'furlong'"),
    ("units.csv", "mmHg,spelling,,mm[Hg],,,", "mmHg stands already on line"),
    ("units.csv", "10^9/L,spelling,,10*9/L,,,", "10^9/L is read as the UCUM code 10*9/L already"),
    ("units.csv", "Mg/dL,spelling,,mg/dL,,,", "Mg/dL is another unit than mg/dL"),
    ("units.csv", "ML,spelling,,mL,,,", "ML is another unit than mL"),
]


@pytest.mark.parametrize(("file", "line", "message"), APPENDED, ids=[entry[2] for entry in APPENDED])
def test_a_wrong_line_is_named(folder: Path, file: str, line: str, message: str) -> None:
    """Each kind of mistake gives one finding, at the line that was added."""
    number = append(folder / file, line)
    findings = [finding for finding in check_definitions(folder) if finding.file == file]
    assert [finding.line for finding in findings] == [number]
    assert message in findings[0].message
    with pytest.raises(DefinitionsError) as caught:
        load_catalogue(folder=folder)
    assert f"{file}:{number}: " in str(caught.value)


def test_a_duplicate_names_the_other_place(folder: Path) -> None:
    """Whoever mends a duplicate needs both places."""
    append(folder / "codelists" / "vitals.csv", "ast,http://loinc.org,1742-6,ALT,")
    lines = (SHIPPED / "codelists" / "labs.csv").read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines, start=1) if ",1742-6," in line)
    (finding,) = check_definitions(folder)
    assert finding.message.endswith(f"codelists/labs.csv:{first}")


@pytest.mark.parametrize("file", ["concepts.csv", "units.csv", "never_map.csv", "codelists/labs.csv"])
def test_a_missing_column_is_named(folder: Path, file: str) -> None:
    """A header without one of its columns is a finding on line 1."""
    path = folder / file
    header, _, rest = path.read_text(encoding="utf-8").partition("\n")
    column = header.split(",")[1]
    path.write_text(header.replace(f",{column}", ",other", 1) + "\n" + rest, encoding="utf-8")
    assert (file, 1, f"column {column} is missing") in [
        (finding.file, finding.line, finding.message) for finding in check_definitions(folder)
    ]


def test_a_missing_file_is_named(folder: Path) -> None:
    """A file that was deleted is a finding, as is a folder without code lists."""
    (folder / "never_map.csv").unlink()
    shutil.rmtree(folder / "codelists")
    assert {finding.file for finding in check_definitions(folder)} == {"never_map.csv", "codelists"}


def test_another_encoding_is_named_with_its_line(folder: Path) -> None:
    """A table saved in the encoding of an old spreadsheet program is a finding where it stops being UTF-8."""
    path = folder / "codelists" / "labs.csv"
    number = last_line(path) + 1
    path.write_bytes(path.read_bytes() + "alt,http://loinc.org,2339-0,Größe,\n".encode("latin-1"))
    assert (path.name, number) in [(Path(f.file).name, f.line) for f in check_definitions(folder)]


def test_what_a_spreadsheet_program_adds_is_accepted(folder: Path) -> None:
    """A byte order mark, Windows line ends, empty lines and a further column are no mistakes."""
    path = folder / "codelists" / "routes.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [lines[0] + ",reviewed by", *(line + ",someone" for line in lines[1:]), ",,,,,"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    assert check_definitions(folder) == []


def test_a_cell_over_several_lines_keeps_the_count(folder: Path) -> None:
    """A line break inside a quoted note does not shift the line numbers after it."""
    path = folder / "codelists" / "labs.csv"
    append(path, 'alt,http://loinc.org,2339-0,ALT,"first\nsecond"')
    number = append(path, "altt,http://loinc.org,1744-2,ALT,")
    assert [finding.line for finding in check_definitions(folder)] == [number]


SITES = [
    ('[site]\nname = "A"\ntime_zone = "Mars/Olympus"\n', 3, "unknown time zone 'Mars/Olympus'"),
    ('[site]\ntime_zone = "Europe"\n', 2, "unknown time zone 'Europe'"),
    ('[site]\ntime_zone = "../zone"\n', 2, "unknown time zone"),
    ("[site]\nname = 7\n", 2, "name is a text in quotes"),
    ('[site]\nzone = "UTC"\n', 2, "unknown key 'zone'"),
    ('[site]\nallowed_modifier_extensions = "x"\n', 2, "is a list of URLs"),
    ('[site]\nname = "A\n', 2, "not valid TOML"),
    ("\n\n[[codes]\n", 3, "not valid TOML"),
    ('[[code]]\ntext = "x"\nconcept = "alt"\n', 1, "unknown part 'code'"),
    ('[codes]\ntext = "x"\nconcept = "alt"\n', 1, "write [[codes]] in front of each entry"),
    ('# a\n[[codes]]\ntext = "x"\nconcept = "altt"\n', 2, "unknown concept 'altt'"),
    ('[[codes]]\ntext = "x"\n', 1, "it needs"),
    ('[[codes]]\ntext = 5\nconcept = "alt"\n', 1, "a text in quotes"),
    ('[[codes]]\ntext = " "\nconcept = "alt"\n', 1, "text is empty"),
    (
        '[[codes]]\ntext = "x"\nconcept = "alt"\n\n[[codes]]\ntext = " X "\nconcept = "ast"\n',
        5,
        "X is mapped to ast here and to alt at site.toml:1",
    ),
    (
        '[[codes]]\nsystem = "http://loinc.org"\ncode = "1742-6"\nconcept = "ast"\n',
        1,
        "1742-6 is mapped to ast here and to alt at codelists/labs.csv",
    ),
    (
        '[[codes]]\nsystem = "http://loinc.org"\ncode = "82293-6"\nconcept = "alt"\n',
        1,
        "82293-6 must never be mapped",
    ),
    ('[[units]]\nconcept = "alt"\nunit = "IU per L"\n', 1, "unknown unit 'IU per L'"),
    ('[[units]]\nconcept = "altt"\nunit = "U/L"\n', 1, "unknown concept 'altt'"),
    ('[[unit_spellings]]\ntext = "x"\nunit = "furlong"\n', 1, "unknown unit 'furlong'"),
    ('[[unit_spellings]]\ntext = "Mg"\nunit = "mg"\n', 1, "Mg is another unit than mg"),
    ('[[specimens]]\ntext = "x"\nmatrix = "alt"\n', 1, "alt is a lab, not a specimen"),
    ('[[specimens]]\ntext = "x"\nmatrix = "urine"\n', 1, "unknown concept 'urine'"),
    ('[[products]]\ntext = "x"\nconcept = "alt"\n', 1, "alt is a lab, not a product"),
    ('[[questionnaire]]\nlink_id = "a"\nconcept = "speech"\n', 1, "unknown concept 'speech'"),
    ('[[questionnaire]]\nlink_id = ""\nconcept = "alsfrs_r_01_speech"\n', 1, "link_id is empty"),
]


@pytest.mark.parametrize(("text", "line", "message"), SITES, ids=[entry[2] for entry in SITES])
def test_a_wrong_entry_of_a_site_is_named(tmp_path: Path, text: str, line: int, message: str) -> None:
    """Each kind of mistake in an overlay is found at the line where its entry begins."""
    site = tmp_path / "site.toml"
    site.write_text(text, encoding="utf-8")
    findings = check_definitions(site=site)
    assert (findings[0].file, findings[0].line) == ("site.toml", line)
    assert message in findings[0].message


def test_all_mistakes_are_found_at_once(folder: Path, tmp_path: Path) -> None:
    """Findings come in the order of files and lines, from the tables and the overlay together."""
    append(folder / "units.csv", "mg/hL,ucum,mass_concentration,g/L,ten,0,")
    append(folder / "codelists" / "labs.csv", "altt,http://loinc.org,1743-5,ALT,")
    site = tmp_path / "site.toml"
    site.write_text('[[units]]\nconcept = "alt"\nunit = "furlong"\n', encoding="utf-8")
    findings = check_definitions(folder, site)
    assert [finding.file for finding in findings] == [
        "codelists/labs.csv",
        "codelists/labs.csv",
        "site.toml",
        "units.csv",
    ]
    assert str(findings[-1]).startswith(f"units.csv:{last_line(folder / 'units.csv')}: factor")


def test_a_missing_site_file_is_named(tmp_path: Path) -> None:
    """A path without a file is a finding, not a traceback."""
    (finding,) = check_definitions(site=tmp_path / "nowhere.toml")
    assert finding.file == "nowhere.toml"
    assert "cannot be read" in finding.message
