"""The commands do what their help says, write what they promise, and end with the promised exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREG = ROOT / "examples/als_treg"
PATIENT = '{"resourceType":"Patient","id":"p%d","gender":"female"}\n'


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "fhiradapter", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `run` on the synthetic trial."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = call("run", TREG / "study.toml", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout
    assert "Observation" in done.stdout
    return out


def test_run_writes_what_it_promises(demo: Path) -> None:
    """`run` leaves the cohort, the results, the report and the record, and nothing unfinished."""
    tables = {"subjects", "exposures", "measurements", "events", "encounters", "issues", "receipts"}
    assert {path.name for path in demo.iterdir()} == {"cohort", "results.json", "report.html", "run.json"}
    assert {path.stem for path in (demo / "cohort").iterdir()} == tables


def test_record_balances_and_names_inputs(demo: Path) -> None:
    """run.json holds the account of every type, and name, size and hash of every input file."""
    record = json.loads((demo / "run.json").read_bytes())
    for account in record["accounting"].values():
        assert account["received"] == account["mapped"] + account["quarantined"] + sum(
            account["ignored"].values()
        )
    assert {len(one["sha256"]) for one in record["inputs"]} == {64}
    assert sum(one["bytes"] for one in record["inputs"]) == sum(
        path.stat().st_size for path in (TREG / "fhir").iterdir()
    )
    assert set(record["hashes"]) == {"settings", "definitions"}


def test_results_reproduce_the_published_aggregates(demo: Path) -> None:
    """The synthetic trial gives n 6, median age 48.5, baseline 31.5, 11 infusions, and the three slopes.

    The figures are those of Shneider et al., NEJM Evidence 2025; the subjects are synthetic.
    """
    results = json.loads((demo / "results.json").read_bytes())
    cohort, exposure, periods = results["cohort"], results["exposure"], results["progression"]["periods"]
    assert (cohort["n"], cohort["deaths"]) == (6, 0)
    assert (cohort["age"]["min"], cohort["age"]["median"], cohort["age"]["max"]) == (27, 48.5, 66)
    assert cohort["baseline_score"]["median"] == 31.5
    assert round(cohort["follow_up_months"]["median"], 1) == 18.0
    assert exposure["infusions"]["median"] == 11
    assert {dose["cells"] for dose in exposure["timeline"] if dose["timing"] != "missed"} == {1e8}
    assert [round(periods[name]["mean_slope"], 2) for name in ("before", "during", "after")] == [
        -1.66,
        -0.41,
        -0.6,
    ]
    assert results["biomarkers"]["nfl_serum_plasma"]["gmr"] < 1
    assert results["safety"]["overview"]["grade 3 or more"]["count"] == 0
    assert results["safety"]["dose_limiting"]["n"] == 0


def test_analyse_and_report_repeat_the_run(demo: Path, tmp_path: Path) -> None:
    """`analyse` and `report` on what `run` wrote give the same bytes."""
    assert call("analyse", demo, "--study", TREG / "study.toml", "--out", tmp_path).returncode == 0
    assert (tmp_path / "results.json").read_bytes() == (demo / "results.json").read_bytes()
    assert call("report", tmp_path, "--out", tmp_path / "again.html").returncode == 0
    assert (tmp_path / "again.html").read_bytes() == (demo / "report.html").read_bytes()


def test_natural_history_runs_without_treatment(tmp_path: Path) -> None:
    """128 real people: the least-squares slopes of three of them come out to six digits."""
    done = call("run", ROOT / "examples/als_natural_history/study.toml", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accounting"]["Patient"]["mapped"] == 128
    results = json.loads((tmp_path / "results.json").read_bytes())
    slopes = {row["subject_id"]: row["slope"] for row in results["progression"]["by_subject_rows"]}
    expected = {"p1": -0.985381, "p10": -0.266784, "p1005": -0.455526}
    assert {name: round(slopes[name], 6) for name in expected} == expected
    assert results["exposure"] is None
    assert list(results["progression"]["periods"]) == ["all"]


def test_map_reads_several_inputs(tmp_path: Path) -> None:
    """`map` takes files and folders, and --json prints the account."""
    (tmp_path / "a.ndjson").write_text(PATIENT % 1)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.ndjson").write_text(PATIENT % 2)
    done = call("map", tmp_path / "a.ndjson", tmp_path / "more", "--out", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["accounting"]["Patient"]["mapped"] == 2
    assert done.returncode == 0


def test_too_much_quarantine_is_partial(tmp_path: Path) -> None:
    """More quarantined than the limit allows ends with 4, and everything is written all the same."""
    (tmp_path / "a.ndjson").write_text(PATIENT % 1 + '{"resourceType":"Patient","id":7}\n')
    done = call("map", tmp_path / "a.ndjson", "--out", tmp_path / "out")
    assert done.returncode == 4
    assert "Patient: 1 of 2 quarantined" in done.stderr
    assert (tmp_path / "out/run.json").exists()


def test_truncated_input_is_partial(tmp_path: Path) -> None:
    """A compressed file that ends early ends with 4; what it still held is mapped."""
    import gzip

    whole = gzip.compress("".join(PATIENT % number for number in range(20_000)).encode())
    (tmp_path / "a.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    done = call("map", tmp_path / "a.ndjson.gz", "--out", tmp_path / "out", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["accounting"]["Patient"]["mapped"] > 1000


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "no-such.toml"], 3, "there is no such study file"),
        (["map", "no-such-folder", "--out", "x"], 2, "there is no such file or folder"),
        (["map"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
        (["analyse", ".", "--study", str(TREG / "study.toml"), "--out", "x"], 2, "is not a cohort directory"),
        (["report", ".", "--out", "report.html"], 2, "results.json"),
        (["check"], 2, "give a study file"),
    ],
)
def test_wrong_calls_say_what_to_do(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    """A wrong call is one line with the reason, without a traceback."""
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_setting_is_named(tmp_path: Path) -> None:
    """A misspelt setting is an error that names it."""
    (tmp_path / "study.toml").write_text('[study]\nid="x"\ntitle="x"\n[progression]\nwashout_day = 30\n')
    done = call("run", tmp_path / "study.toml")
    assert done.returncode == 3
    assert "progression.washout_day" in done.stderr


def test_check_finds_nothing_in_the_examples() -> None:
    """Definitions and both example studies are in order."""
    assert call("check", "--definitions").returncode == 0
    for study in sorted((ROOT / "examples").glob("*/*.toml")):
        if study.name == "study.toml":
            done = call("check", study)
            assert done.returncode == 0, done.stdout


def test_check_names_unknown_concepts(tmp_path: Path) -> None:
    """A study that names a concept nobody declared is told so, with exit code 3."""
    (tmp_path / "a.ndjson").write_text(PATIENT % 1)
    (tmp_path / "study.toml").write_text(
        '[study]\nid="x"\ntitle="x"\n[[sources]]\npath=["a.ndjson"]\n[treatment]\nconcept="ck999"\n'
    )
    done = call("check", tmp_path / "study.toml")
    assert done.returncode == 3
    assert "ck999" in done.stdout


def test_profile_prints_entries_for_a_site_file(tmp_path: Path) -> None:
    """Codes that no list knows come with their count, as TOML that only lacks the concept."""
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": {
            "coding": [{"system": "http://hospital.example.org/lab", "code": "K1", "display": "Something"}]
        },
        "valueQuantity": {"value": 1, "unit": "widgets"},
    }
    (tmp_path / "a.ndjson").write_text(json.dumps(observation))
    done = call("profile", tmp_path / "a.ndjson")
    assert '# code = "K1"' in done.stdout
    shown = json.loads(call("profile", tmp_path / "a.ndjson", "--json").stdout)
    assert [(row["code"], row["unit"], row["concept"], row["rows"]) for row in shown] == [
        ("http://hospital.example.org/lab|K1", "widgets", None, 1)
    ]


@pytest.mark.parametrize("verb", ["run", "map", "analyse", "report", "profile", "check"])
def test_every_verb_has_help(verb: str) -> None:
    """--help of each verb ends well and says something."""
    done = call(verb, "--help")
    assert done.returncode == 0
    assert len(done.stdout) > 200
