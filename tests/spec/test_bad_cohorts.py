"""Bad cohorts give a result and a report that say what could not be computed, and why."""

import html
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

import fhiradapter as fa
from fhiradapter.results import Results, encoded
from tests.spec.small_cohorts import cohort_of, study_of

SCORES = """
subject_id | measured   | value
a          | 2023-01-01 | 44
a          | 2023-03-01 | 42
a          | 2023-05-01 | 40
a          | 2023-07-01 | 39
a          | 2023-09-01 | 38
a          | 2023-12-01 | 36
b          | 2023-01-01 | 40
b          | 2023-03-01 | 39
b          | 2023-05-01 | 37
b          | 2023-07-01 | 36
b          | 2023-09-01 | 33
b          | 2023-12-01 | 30
"""
DOSES = """
subject_id | started
a          | 2023-05-01
a          | 2023-06-01
b          | 2023-05-01
b          | 2023-06-01
"""


@dataclass(frozen=True)
class Bad:
    """Tables as text, settings, and what the report has to say."""

    tables: dict[str, str]
    says: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    treated: bool = True


CASES = {
    "nothing at all": Bad({}, ("There is no subject in this cohort.",)),
    "nothing at all, without treatment": Bad({}, ("There is no subject in this cohort.",), treated=False),
    "only a Patient": Bad(
        {"subjects": "subject_id | sex\na | male"}, ("No dose of the study's product is dated.",)
    ),
    "no visit after the first dose": Bad(
        {
            "measurements": SCORES.replace("2023-07", "2022-07")
            .replace("2023-09", "2022-09")
            .replace("2023-12", "2022-12"),
            "exposures": DOSES,
        },
        ("1 of the 2 scores that are needed.", "No score in this period."),
    ),
    "one subject": Bad(
        {"measurements": SCORES[: SCORES.index("b ")], "exposures": DOSES[: DOSES.index("b ")]},
        ("Subjects with scores: 1, too few for a mixed model",),
    ),
    "one visit": Bad(
        {"measurements": "subject_id | measured | value\na | 2023-05-01 | 40", "exposures": DOSES},
        ("1 of the 2 scores that are needed.", "No score in this period."),
    ),
    "all scores equal": Bad(
        {"measurements": re.sub(r"\d+$", "40", SCORES, flags=re.MULTILINE), "exposures": DOSES},
        ("Subjects with scores: 2, too few for a mixed model",),
    ),
    "no onset date": Bad(
        {"measurements": SCORES, "exposures": DOSES},
        ("No onset date, where the policy before_start = onset begins.",),
        {"progression": {"before_start": "onset"}},
    ),
    "a laboratory value without its upper limit": Bad(
        {
            "measurements": "subject_id | measured | value | concept | unit\n"
            "a | 2023-04-01 | 20 | alt | U/L\na | 2023-05-20 | 900 | alt | U/L\n"
            "a | 2023-05-20 | 90 | bilirubin_total | umol/L",
            "exposures": DOSES,
        },
        ("no value with an upper limit of normal to hold it against",),
    ),
    "death before the first dose": Bad(
        {
            "subjects": "subject_id | death | deceased\na | 2023-02-01 | yes\nb | |",
            "measurements": SCORES,
            "exposures": DOSES,
        },
        ("death is dated before the first dose", "scores after death are not counted"),
    ),
    "infusions without a dose": Bad(
        {
            "measurements": SCORES,
            "exposures": DOSES.replace("started", "started | dose_cells").replace("-01\n", "-01 | nan\n"),
        },
        ("dose not known in cells",),
    ),
    "infusions without a date": Bad(
        {"measurements": SCORES, "exposures": "subject_id | started\na |\nb |"},
        ("a dose has no day: it does not set the first or last dose",),
    ),
    "dates after the data cut": Bad(
        {
            "measurements": SCORES.replace("2023-12", "2999-12"),
            "exposures": DOSES.replace("2023-06", "2999-06"),
        },
        ("doses after the data cut are not counted", "After data cut"),
        {"follow_up": {"data_cut": "2024-06-30"}},
    ),
    "two raters on one day": Bad(
        {"measurements": SCORES + "a | 2023-01-01 | 20\n", "exposures": DOSES}, ("Same day",)
    ),
    "scores outside the scale": Bad(
        {"measurements": SCORES.replace("| 36", "| 1e300").replace("| 33", "| -1"), "exposures": DOSES},
        ("Out of range",),
    ),
    "rows without a subject": Bad(
        {"measurements": SCORES.replace("b  ", "   "), "exposures": DOSES.replace("b  ", "   ")},
        ("No subject",),
    ),
    "nobody got the product": Bad(
        {"measurements": SCORES, "exposures": "subject_id | started | concept\na | 2023-05-01 | aspirin"},
        (
            "No dose of the study's product is dated.",
            "Nobody had an infusion.",
            "Hy's law could not be assessed: nobody had a dated dose.",
            "There was no infusion to look around.",
        ),
    ),
    "no source of adverse events": Bad(
        {"measurements": SCORES, "exposures": DOSES},
        ("No source of adverse events was read. Nothing can be said about events",),
    ),
    "an arm that nobody is in": Bad(
        {"measurements": SCORES, "exposures": DOSES},
        ("nothing was received of",),
        {"subjects": {"arms": {"a": "Active", "nobody": "Placebo"}}},
    ),
    "ids that nobody has": Bad(
        {"measurements": SCORES, "exposures": DOSES},
        ("nothing was received of",),
        {"subjects": {"ids": ["nobody"]}},
    ),
    "all dead, dates unknown": Bad(
        {
            "subjects": "subject_id | deceased\na | yes\nb | yes",
            "measurements": SCORES,
            "exposures": DOSES,
        },
        ("died, date not known",),
    ),
    "scores centuries away": Bad(
        {"measurements": SCORES.replace("2023-12", "1650-12"), "exposures": DOSES}, ("Slopes by period",)
    ),
    "names in any script": Bad(
        {
            "measurements": SCORES.replace("a  ", "患者<b>"),
            "exposures": DOSES.replace("a  ", "患者<b>"),
            "events": "subject_id | kind | term\n患者<b> | adverse_event | 痛み</style><script>",
        },
        ("患者<b>", "痛み</style><script>"),
    ),
    "a text of 5,000 letters": Bad(
        {
            "measurements": SCORES,
            "exposures": DOSES,
            "events": f"subject_id | kind | term\na | adverse_event | {'x' * 5000}",
        },
        ("xxxx",),
    ),
}


def words_of(page: str) -> str:
    """What a person reads of the page, without its drawings."""
    text = re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(text))


@pytest.mark.parametrize("name", CASES)
def test_a_bad_cohort_is_told_and_not_dropped(name, tmp_path, capsys):
    """There is a result, its JSON holds no NaN, the report is written, and says what is wrong."""
    bad = CASES[name]
    cohort = cohort_of(**bad.tables)
    results = fa.analyse(cohort, study_of(treated=bad.treated, **bad.settings))
    fa.write_report(results, tmp_path / "report.html")
    text = words_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    with capsys.disabled():
        print(f"\n{name}: {results.cohort.n} subjects, {len(results.progression.scores)} scores", end="")
    missing = [sentence for sentence in bad.says if sentence not in text]
    assert not missing, text
    if "No source of adverse events was read." in text:
        assert "Dose-limiting toxicity: " not in text
    assert re.search(r"\b(nan|NaN|None|NaT|inf)\b", text) is None
    assert msgspec.json.decode(encoded(results), type=Results) is not None
