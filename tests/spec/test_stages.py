"""MiToS and King's stage of one assessment: every rule on both sides of its threshold."""

import itertools

import pandas as pd
import pytest
from staged_cohorts import items_of

from fhiradapter.analysis.assessments import NAMES
from fhiradapter.analysis.kings import kings_stages, without_region
from fhiradapter.analysis.mitos import mitos_stages

NORMAL = "444 444 444 444"


def tube(*known):
    return pd.Series(list(known), dtype="boolean")


def mitos(line):
    [stage] = mitos_stages(items_of(line)).tolist()
    return None if pd.isna(stage) else stage


def kings(line, *, gastrostomy=False, no_region="stage_1"):
    [stage] = kings_stages(items_of(line), tube(gastrostomy), no_region=no_region).tolist()
    return None if pd.isna(stage) else stage


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        (NORMAL, "0"),
        # movement: walking (8) or dressing (6)
        ("444 444 424 444", "0"),
        ("444 444 414 444", "1"),
        ("444 442 444 444", "0"),
        ("444 441 444 444", "1"),
        ("444 441 414 444", "1"),  # both: one domain
        ("444 444 141 444", "0"),  # turning and stairs do not count
        # swallowing (3)
        ("442 444 444 444", "0"),
        ("441 444 444 444", "1"),
        # communicating: speech (1) and handwriting (4)
        ("144 444 444 444", "0"),
        ("044 444 444 444", "0"),
        ("444 144 444 444", "0"),
        ("144 244 444 444", "0"),
        ("244 144 444 444", "0"),
        ("144 144 444 444", "1"),
        # breathing: dyspnea (10) <= 1 or respiratory insufficiency (12) <= 2
        ("444 444 444 244", "0"),
        ("444 444 444 144", "1"),
        ("444 444 444 443", "0"),
        ("444 444 444 442", "1"),
        ("444 444 444 404", "0"),  # orthopnea does not count
        # several
        ("441 444 414 444", "2"),
        ("141 144 414 444", "3"),
        ("141 144 414 144", "4"),
        ("000 000 000 000", "4"),
        ("404 404 040 404", "0"),  # salivation, cutting, turning, stairs, orthopnea at 0
    ],
)
def test_mitos_counts_lost_domains(line, stage):
    """Chio et al., table 1: each of the four domains counts once, communicating needs both items."""
    assert mitos(line) == stage


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("444 44. 414 444", "1"),  # lost by walking alone
        ("444 44. 424 444", None),  # dressing would decide
        (".44 444 444 444", "0"),  # handwriting is 4: no loss whatever the speech
        (".44 144 444 444", None),
        ("44. 444 444 444", None),
        ("4.4 4.4 4.. 4.4", None),  # walking is missing
        ("4.4 4.4 .4. 4.4", "0"),  # the items that MiToS does not read
        ("... ... ... ...", None),
        ("141 1.. .1. 1..", "4"),
    ],
)
def test_missing_items_leave_no_mitos_stage_unless_they_cannot_change_it(line, stage):
    assert mitos(line) == stage


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        (NORMAL, "0"),
        # bulbar: items 1 to 3
        ("344 444 444 444", "1"),
        ("434 444 444 444", "1"),
        ("443 444 444 444", "1"),
        ("000 444 444 444", "1"),
        # upper limb: items 4 and 5
        ("444 344 444 444", "1"),
        ("444 434 444 444", "1"),
        # lower limb: item 8
        ("444 444 434 444", "1"),
        # two and three regions
        ("344 344 444 444", "2"),
        ("344 444 434 444", "2"),
        ("444 434 434 444", "2"),
        ("443 343 434 444", "3"),
        # respiratory failure: dyspnea (10) = 0 or respiratory insufficiency (12) < 4
        ("444 444 444 144", "1"),
        ("444 444 444 044", "4B"),
        ("444 444 444 443", "4B"),
        ("443 343 434 044", "4B"),
        ("443 343 434 404", "3"),  # orthopnea is no failure
    ],
)
def test_kings_counts_regions_and_failure_of_breathing(line, stage):
    """Balendra et al.: regions by items 1-3, 4-5 and 8; 4B by items 10 and 12."""
    assert kings(line) == stage


@pytest.mark.parametrize("line", [NORMAL, "344 444 444 444", "443 343 434 144"])
def test_gastrostomy_is_stage_4a_whatever_the_regions(line):
    """Also with a total of 48: feeding by tube is failure of nutrition."""
    assert kings(line, gastrostomy=True) == "4A"


def test_failure_of_breathing_is_4b_with_gastrostomy_too():
    assert kings("444 444 444 044", gastrostomy=True) == "4B"
    assert kings("444 444 444 443", gastrostomy=True) == "4B"


@pytest.mark.parametrize(
    "line",
    ["444 443 444 444", "444 444 344 444", "444 444 443 444", "444 444 444 344", "444 444 444 434"],
)
def test_points_lost_in_no_region_follow_the_policy(line):
    """Dressing, turning, stairs, dyspnea and orthopnea lie in no region; the total is 47."""
    assert kings(line) == "1"
    assert kings(line, no_region="none") is None
    assert without_region(items_of(line), tube(False)).tolist() == [True]


@pytest.mark.parametrize("line", [NORMAL, "344 443 444 444", "444 444 444 443"])
def test_a_total_of_48_and_an_involved_region_do_not_rest_on_the_policy(line):
    assert without_region(items_of(line), tube(False)).tolist() == [False]
    assert kings(line) == kings(line, no_region="none")


@pytest.mark.parametrize(
    ("line", "gastrostomy", "stage"),
    [
        ("3.4 444 444 444", False, "1"),  # bulbar already
        (".44 344 434 444", False, None),  # two or three regions
        (".44 444 444 444", False, None),  # none or bulbar
        (".44 443 444 444", False, "1"),  # stage 1 by policy, or by bulbar involvement
        ("... ... ... 0..", None, "4B"),
        ("... ... ... ..3", None, "4B"),
        ("443 343 434 44.", False, None),  # 3 or 4B
        ("443 343 434 .44", False, None),
        ("443 343 434 4.4", False, "3"),
        ("443 343 434 444", None, None),  # 3 or 4A
        ("443 343 434 044", None, "4B"),
        ("... ... ... 444", True, "4A"),
        ("... ... ... 4.4", True, "4A"),
        ("... ... ... 44.", True, None),  # 4A or 4B
        ("443 3.3 434 444", False, "3"),  # handwriting involves the upper limb
        ("443 4.3 434 444", False, None),
        ("344 444 .3. 444", False, "2"),
        ("444 444 .4. 444", False, None),  # 0, or 1 by policy
    ],
)
def test_missing_items_leave_no_kings_stage_unless_they_cannot_change_it(line, gastrostomy, stage):
    assert kings(line, gastrostomy=pd.NA if gastrostomy is None else gastrostomy) == stage


def possible(line, known):
    """All ways to fill the gaps, with and without a tube where that is not known."""
    gaps = line.count(".")
    for fill in itertools.product("01234", repeat=gaps):
        answers = iter(fill)
        filled = "".join(next(answers) if digit == "." else digit for digit in line)
        for gastrostomy in (False, True) if known is None else (known,):
            yield filled, gastrostomy


@pytest.mark.parametrize("known", [False, True, None])
@pytest.mark.parametrize(
    "line",
    [
        ".44 .44 444 444",
        ".14 .44 414 444",
        "441 44. 4.4 444",
        "444 444 4.4 .4.",
        "444 44. .4. 444",
        "144 .44 444 4.2",
        "3.4 4.4 444 444",
        "344 444 434 .3.",
    ],
)
def test_a_stage_is_given_exactly_when_every_possible_answer_gives_it(line, known):
    """All 5 ** gaps ways to answer are staged one by one, and compared with the stage of the gaps."""
    ways = list(possible(line, known))
    whole = items_of(*(filled for filled, _ in ways))
    for name, found, alone in (
        ("mitos", mitos_stages(whole), mitos(line)),
        (
            "kings",
            kings_stages(whole, tube(*(one for _, one in ways))),
            kings(line, gastrostomy=pd.NA if known is None else known),
        ),
    ):
        stages = set(found.tolist())
        assert alone == (stages.pop() if len(stages) == 1 else None), name


def test_stages_are_ordered_from_best_to_worst():
    stages = kings_stages(items_of(NORMAL, "344 444 444 444", "444 444 444 443"), tube(False, True, False))
    assert stages.tolist() == ["0", "4A", "4B"]
    assert stages.max() == "4B"
    assert mitos_stages(items_of(NORMAL, "000 000 000 000")).max() == "4"


def test_no_assessment_has_no_stage():
    nothing = pd.DataFrame(columns=list(NAMES), dtype="float64")
    assert mitos_stages(nothing).tolist() == []
    assert kings_stages(nothing, tube()).tolist() == []
