"""The HTML report says everything, harms nobody and is the same every time."""

import re
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import msgspec
import pytest
from report_fixture import empty_results, natural_history_results, treated_results
from report_page import Page

from fhiradapter.errors import UsageError
from fhiradapter.reports import REPORTS, write_report
from fhiradapter.reports.glossary import ABBREVIATIONS
from fhiradapter.results import Coverage, Results

HOSTILE = "<script>alert('$x$')</script>"


def page_of(results: Results, folder: Path) -> Page:
    return Page(write_report(results, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("reports")
    return {
        "treated": page_of(treated_results(), folder),
        "untreated": page_of(natural_history_results(), folder),
        "empty": page_of(empty_results(), folder),
    }


ALL = pytest.mark.parametrize("name", ["treated", "untreated", "empty"])


@ALL
def test_page_is_whole_and_loads_nothing(pages: dict[str, Page], name: str) -> None:
    """Every element is closed; no script, no other file, no address but places in the page itself."""
    page = pages[name]
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for key in ("href", "xlink:href", "src", "action", "data"):
            assert (attributes.get(key) or "#").startswith("#")
        assert not [key for key in attributes if key.startswith("on")]
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert "@import" not in page.source


@ALL
def test_ids_are_unique_and_every_reference_has_its_target(pages: dict[str, Page], name: str) -> None:
    """Ids of inlined figures do not collide, so no clip path cuts another figure."""
    page = pages[name]
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    references = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page.source)
    assert {one or other for one, other in references} <= set(ids)


@ALL
def test_a_missing_value_is_a_dash_and_never_a_python_word(pages: dict[str, Page], name: str) -> None:
    """No None, nan or inf reaches the reader, and no markup is shown as text."""
    assert re.findall(r"\b(None|nan|NaN|inf|True|False|Markup|Undefined)\b|<abbr", pages[name].text) == []


@ALL
def test_the_same_results_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    """Equal results give equal files, whatever matplotlib was set to in between."""
    make = {"treated": treated_results, "untreated": natural_history_results, "empty": empty_results}[name]
    first = write_report(make(), tmp_path / "a.html").read_bytes()
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        second = write_report(make(), tmp_path / "b.html").read_bytes()
    assert first == second


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    """A caller's own settings survive a report."""
    with mpl.rc_context({"font.size": 30}):
        write_report(treated_results(), tmp_path / "report.html")
        assert mpl.rcParams["font.size"] == 30


def test_treated_study_has_every_section(pages: dict[str, Page]) -> None:
    """The sections and the tables that the study calls for are there, in this order."""
    text = pages["treated"].text
    places = [
        text.index(words)
        for words in (
            "Baseline characteristics",
            "Score trajectories.",
            "Slopes by period.",
            "Differences between periods within subjects",
            "Subjects without an adequate period",
            "Mixed model of the score",
            "Infusions over time.",
            "Adherence to the planned schedule",
            "Same-day discharge",
            "Concomitant therapy",
            "Neurofilament light in plasma",
            "Overview: subjects with at least one event",
            "Dose-limiting toxicity",
            "Terms by worst grade",
            "Laboratory shifts, lab-derived grades by CTCAE 5.0",
            "What these tables rest on",
            "Received = mapped + quarantined + ignored",
            "Issues by reason",
            "Codes that no code list knows",
            "What 6 subjects cannot show",
            "Abbreviations",
            "not the method of any publication",
            "Policies in force",
            "Versions",
        )
    ]
    assert places == sorted(places)


def test_study_without_treatment_has_no_empty_section(pages: dict[str, Page]) -> None:
    """Nothing is said about exposure, biomarkers or safety when there is none; the rest stands."""
    page = pages["untreated"]
    headings = {attributes.get("id") for attributes in page.all("section")}
    assert headings == {"subjects", "progression", "quality", "listings", "reading", "methods"}
    assert "Whole follow-up" in page.text
    assert "infusion" not in page.text.lower()


def test_many_subjects_are_listed_in_part_and_the_rest_is_counted(pages: dict[str, Page]) -> None:
    """Of 128 subjects 50 are listed, and the report says that 78 are not."""
    page = pages["untreated"]
    assert "The first 50 of 128 subjects are shown; 78 are not." in page.text
    assert "nh-050" in page.text
    assert "nh-051 " not in re.sub(r"Subjects without an adequate period.*?Subject by subject", "", page.text)


def test_figures_speak(pages: dict[str, Page]) -> None:
    """Each figure has a role, a label and a title; each subject of a small study has its own."""
    page = pages["treated"]
    figures = page.all("svg")
    assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in figures)
    assert page.source.count("<title>") == len(figures) + 1
    labels = " ".join(figure["aria-label"] or "" for figure in figures)
    assert [subject in labels for subject in ("syn-01", "syn-06")] == [True, True]


def test_synthetic_data_is_labelled(pages: dict[str, Page]) -> None:
    """A synthetic study says so above its title; a real one does not."""
    treated = pages["treated"].text
    assert treated.index("No subject in this report is a real person") < treated.index("Study report")
    assert "ynthetic" not in pages["empty"].text


def test_nobody_with_an_event_still_has_an_upper_limit(pages: dict[str, Page]) -> None:
    """0 of 6 comes with 45.9 % (Clopper-Pearson) and 39.0 % (Wilson), and the cautions repeat it."""
    text = pages["treated"].text
    assert re.search(r"Severe: grade ≥ 3 0 0/6 \(0\.0\s%\) 0\.0 to 45\.9 0\.0 to 39\.0", text)
    assert re.search(r"may still strike up to 45\.9\s% of patients", text)


def test_zero_events_are_not_shown_when_no_source_was_read(tmp_path: Path) -> None:
    """With AdverseEvent and Condition unread, the report says so and prints no 0/6."""
    results = treated_results()
    nothing = {
        name: msgspec.structs.replace(line, count=0, events=0)
        for name, line in results.safety.overview.items()
    }
    unread = {
        name: msgspec.structs.replace(source, read=False) for name, source in results.safety.sources.items()
    }
    safety = msgspec.structs.replace(results.safety, overview=nothing, terms=(), sources=unread)
    text = page_of(msgspec.structs.replace(results, safety=safety), tmp_path).text
    assert "No source of adverse events was read." in text
    assert "0/6" not in text


def test_each_safety_table_names_its_sources(pages: dict[str, Page]) -> None:
    """Beside the events stand the sources of events, beside the laboratory shifts the laboratory's."""
    text = pages["treated"].text
    events, shifts = text.index("Overview: subjects"), text.index("Laboratory shifts")
    assert "Condition: not read: absence is not zero events" in text[events:shifts]
    assert "Observation (labs): read: 799 rows" in text[shifts:]
    assert "Observation (labs)" not in text[events:shifts]


def test_another_confidence_level_is_named_throughout(tmp_path: Path) -> None:
    """With a level of 90 %, no interval of the page is called one of 95 %."""
    results = treated_results()
    changed = msgspec.structs.replace(results, policies=results.policies | {"statistics.confidence": 0.9})
    text = page_of(changed, tmp_path).text
    assert re.findall(r"\b95\s?%", text) == []
    assert re.search(r"\b90\s%", text)


def test_medication_that_is_not_read_is_told_beside_the_check(tmp_path: Path) -> None:
    """Twelve statements were received: 'none fell inside the window' does not stand alone."""
    results = treated_results()
    check = msgspec.structs.replace(results.exposure.concomitant, findings=())
    unread = Coverage(
        read=False, received=12, mapped=0, first_on=None, last_on=None, statement="received 12, not read"
    )
    changed = msgspec.structs.replace(
        results,
        exposure=msgspec.structs.replace(results.exposure, concomitant=check),
        safety=msgspec.structs.replace(
            results.safety, sources=results.safety.sources | {"MedicationStatement": unread}
        ),
    )
    text = page_of(changed, tmp_path).text
    told = "none fell inside the window. Received and not read, so not checked: 12 MedicationStatements."
    assert told in text
    assert "MedicationStatement: received 12, not read" in text


def test_a_biomarker_is_named_with_its_matrix(pages: dict[str, Page]) -> None:
    """The key figure and the heading say serum or plasma, which are different series."""
    [biomarker] = treated_results().biomarkers.values()
    text = pages["treated"].text.casefold()
    assert f"neurofilament light in {biomarker.matrix}, ratio to baseline" in text


def test_undecided_events_stand_beside_the_dose_limiting_ones(tmp_path: Path) -> None:
    """One cytokine release syndrome without a grade: the reader of n = 0 is told."""
    results = treated_results()
    notes = {"possibly dose-limiting, grade missing": 1}
    changed = msgspec.structs.replace(results, safety=msgspec.structs.replace(results.safety, notes=notes))
    text = page_of(changed, tmp_path).text
    assert "Events undecided and not counted: possibly dose-limiting, grade missing: 1." in text


def test_a_model_without_a_criterion_shows_a_dash(tmp_path: Path) -> None:
    """All scores equal: the criterion is minus infinity, which is no number to print."""
    results = treated_results()
    model = msgspec.structs.replace(results.progression.mixed_model, criterion=None)
    progression = msgspec.structs.replace(results.progression, mixed_model=model)
    text = page_of(msgspec.structs.replace(results, progression=progression), tmp_path).text
    assert "Criterion \N{EN DASH}." in text


def test_smallest_signed_rank_p_is_told(pages: dict[str, Page]) -> None:
    """Five pairs cannot give a p below 2 / 2**5 = 0.0625."""
    assert "0.0625 with 5 pairs" in pages["treated"].text


def test_an_account_that_does_not_add_up_is_marked(tmp_path: Path) -> None:
    """212 received, 209 + 1 + 2 accounted for: a tick; one fewer mapped: a cross and the number lost."""
    results = treated_results()
    account = results.accounting["MedicationAdministration"]
    broken = msgspec.structs.replace(account, mapped=208)
    page = page_of(
        msgspec.structs.replace(results, accounting={"MedicationAdministration": broken}), tmp_path
    )
    assert "MedicationAdministration 212 208 1 2 ✗ 1 lost" in page.text


def hostile_results() -> Results:
    """Return results with markup, dollar signs and control characters wherever FHIR has text."""
    swap = {
        **dict.fromkeys(("syn-01", "syn-05"), HOSTILE),
        "Fatigue": HOSTILE,
        "Glucose, bedside": HOSTILE,
        "upper respiratory infection": HOSTILE,
        "male": 'x" onload="alert(1)',
        "Example Institute": "Institute\x00 \u202etxt \ud800",
        "pg/mL": "${\\frac",
    }

    def changed(value: object) -> object:
        match value:
            case str():
                return swap.get(value, value)
            case dict():
                return {changed(name): changed(part) for name, part in value.items()}
            case tuple() | list():
                return type(value)(changed(part) for part in value)
            case msgspec.Struct():
                parts = {name: changed(getattr(value, name)) for name in value.__struct_fields__}
                return type(value)(**parts)
            case _:
                return value

    made = changed(treated_results())
    assert isinstance(made, Results)
    return made


def test_text_from_fhir_is_never_markup(tmp_path: Path) -> None:
    """Markup in ids, terms and displays is shown as text, in tables and inside figures alike."""
    page = page_of(hostile_results(), tmp_path)
    assert page.all("script") == []
    assert "<script" not in page.source
    assert not [attributes for _, attributes in page.elements if "onload" in attributes]
    assert page.text.count(HOSTILE) > 5
    inside_figures = [words for words in page.words if words.startswith("<script>") and "…" in words]
    assert inside_figures
    assert "\x00" not in page.source
    assert "\u202e" not in page.source


def test_a_number_that_is_none_is_a_dash(tmp_path: Path) -> None:
    """A slope that became not-a-number is shown as missing."""
    results = treated_results()
    rows = tuple(
        msgspec.structs.replace(row, slope=float("nan"), se=float("inf"))
        for row in results.progression.by_subject_rows
    )
    progression = msgspec.structs.replace(results.progression, by_subject_rows=rows)
    page = page_of(msgspec.structs.replace(results, progression=progression), tmp_path)
    assert re.findall(r"\b(nan|inf)\b", page.text) == []


def test_glossary_explains_what_is_used_and_nothing_else(pages: dict[str, Page]) -> None:
    """An abbreviation is explained in the report that uses it only."""
    assert ABBREVIATIONS["TEAE"] in pages["treated"].text
    assert ABBREVIATIONS["TEAE"] not in pages["untreated"].text


def test_templates_are_shipped_with_the_package() -> None:
    """The files that a report is made of are package data."""
    shipped = {file.name for file in files("fhiradapter.reports").iterdir()}
    assert {"template.html", "macros.html", "style.css"} <= shipped


def test_registry_names_every_suffix_and_refuses_others(tmp_path: Path) -> None:
    """A suffix without a report is a wrong call, and the message names those that there are."""
    assert list(REPORTS) == [".html"]
    with pytest.raises(UsageError, match=r"there is \.html"):
        write_report(empty_results(), tmp_path / "report.pdf")


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    """A report goes where it is sent, and the path comes back."""
    target = tmp_path / "deep" / "down" / "Report.HTML"
    assert write_report(empty_results(), target) == target
    assert target.stat().st_size > 0
