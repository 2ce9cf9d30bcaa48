"""Function and survival ranked together (CAFS)."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_cohorts import cohort_of, study_of

import fhiradapter.analysis.composite as composite_module
import fhiradapter.analysis.rank_sum as rank_sum_module
from fhiradapter.analysis.cafs import cafs
from fhiradapter.analysis.composite import derive_composite
from fhiradapter.analysis.rank_sum import rank_sum_p
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.results import Composite

NAN = float("nan")
SEEDS = range(20)

# The worked example: A died in month 6, B in month 9; C to F changed by -10, -4, -4, -1.
EXAMPLE = {
    "subjects": """
subject_id | deceased | death
A          | yes      | 2024-07-01
B          | yes      | 2024-10-01
C          |          |
D          |          |
E          |          |
F          |          |
""",
    "exposures": "subject_id | started\n" + "\n".join(f"{name} | 2024-01-01" for name in "ABCDEF"),
    "measurements": """
subject_id | measured   | value
A          | 2024-01-01 | 40
B          | 2024-01-01 | 40
C          | 2024-01-01 | 40
D          | 2024-01-01 | 40
E          | 2024-01-01 | 38
F          | 2024-01-01 | 40
C          | 2025-01-01 | 30
D          | 2025-01-01 | 36
E          | 2025-01-01 | 34
F          | 2025-01-01 | 39
""",
}


def composite(study=None, **tables) -> Composite:
    cohort, study = cohort_of(**tables), study or study_of()
    scores = derive_scores(cohort, study)
    return derive_composite(study, derive_timeline(cohort, study, scores=scores), scores)


def sums(found: Composite) -> dict[str, int]:
    return {row.subject_id: row.sum for row in found.by_subject_rows}


def test_worked_example_from_a_cohort():
    """Sums -5, -3, -1, 2, 2, 5 and ranks 1, 2, 3, 4.5, 4.5, 6."""
    found = composite(**EXAMPLE)
    assert sums(found) == {"A": -5, "B": -3, "C": -1, "D": 2, "E": 2, "F": 5}
    assert [row.rank for row in found.by_subject_rows] == [1, 2, 3, 4.5, 4.5, 6]
    assert [row.change for row in found.by_subject_rows] == [0, 0, -10, -4, -4, -1]
    assert (found.arms, found.test) == ({}, None)


def test_worked_example_by_arm():
    """Ranks of A, C, E: 1, 3, 4.5, mean 17/6; of B, D, F: 2, 4.5, 6, mean 25/6.

    W = 8.5 lies 2 from its mean 10.5; of the 20 choices of three of the ranks 1, 2, 3, 4.5, 4.5, 6 ten
    lie as far out: counted below.
    """
    study = study_of(subjects={"arms": dict(zip("ABCDEF", "xyxyxy", strict=True))})
    found = composite(study, **EXAMPLE)
    assert {arm: (one.n, one.deaths) for arm, one in found.arms.items()} == {"x": (3, 1), "y": (3, 1)}
    assert found.arms["x"].mean_rank == pytest.approx(17 / 6)
    assert found.arms["y"].mean_rank == pytest.approx(25 / 6)
    choices = [sum(choice) for choice in combinations([1, 2, 3, 4.5, 4.5, 6], 3)]
    far = sum(abs(total - 10.5) >= 2 for total in choices) / len(choices)
    assert found.test.p == pytest.approx(far)
    assert found.test.statistic == 8.5 - 6


def test_later_death_wins_and_deaths_on_one_day_tie():
    assert cafs([3, 5, 5], [], [], []).sums.tolist() == [-2, 1, 1]


def test_survivors_are_compared_at_the_last_time_both_have():
    """A lost 4 until month 6 and was not seen again; B lost 2 until month 6 and 12 until month 12.

    At month 6 B is the better one, though it ends lower.
    """
    found = cafs([NAN, NAN], [0, 1, 1], [6, 6, 12], [-4, -2, -12])
    assert found.sums.tolist() == [-1, 1]


@pytest.mark.parametrize(("policy", "expected"), [("carry_last", [-1, 1]), ("interpolate", [1, -1])])
def test_irregular_visits_by_policy(policy, expected):
    """A lost 4 until month 6. B lost 0 until month 1 and 10 until month 11: at month 6 that is 0 or 5."""
    found = cafs([NAN, NAN], [0, 1, 1], [6, 1, 11], [-4, 0, -10], common_time=policy)
    assert found.sums.tolist() == expected


def test_no_change_until_the_common_time_is_a_tie():
    """B was first seen when A was gone: they have no time in common."""
    assert cafs([NAN, NAN], [0, 1], [3, 9], [-4, -1]).sums.tolist() == [0, 0]


def test_lost_survivor_wins_or_ties_by_policy():
    """A was last seen in month 3, B died in month 6."""
    arguments = ([NAN, 6], [0], [3], [-1])
    assert cafs(*arguments).sums.tolist() == [1, -1]
    assert cafs(*arguments, followed_until=[3, 6]).sums.tolist() == [0, 0]
    assert cafs(*arguments, followed_until=[6, 6]).sums.tolist() == [1, -1]


def compared(one: int, other: int, death, series, followed, mode: str) -> int:
    """The rule for one pair, written out."""
    if death[one] is not None and death[other] is not None:
        return (death[one] > death[other]) - (death[one] < death[other])
    if death[one] is not None:
        return -1 if followed is None or followed[other] >= death[one] else 0
    if death[other] is not None:
        return 1 if followed is None or followed[one] >= death[other] else 0
    last = min(max(series[one]), max(series[other]))
    values = []
    for subject in (one, other):
        known = series[subject]
        before = [time for time in known if time <= last]
        if not before:
            return 0
        start = max(before)
        after = [time for time in known if time > last]
        value = known[start]
        if mode == "interpolate" and start < last and after:
            value += (last - start) / (min(after) - start) * (known[min(after)] - value)
        values.append(round(value, 9))
    return (values[0] > values[1]) - (values[0] < values[1])


@pytest.mark.parametrize("mode", ["carry_last", "interpolate"])
@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_agree_with_pair_by_pair(seed, mode, monkeypatch):
    """Random cohorts with ties, deaths and gaps, in blocks of seven, against one pair after the other."""
    print("seed", seed)
    monkeypatch.setattr("fhiradapter.analysis.cafs.BLOCK", 7)
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 40))
    death = [int(random.integers(1, 12)) if random.random() < 0.3 else None for _ in range(n)]
    series = [
        {int(time): -float(random.integers(0, 8)) for time in random.integers(0, 13, random.integers(1, 6))}
        for _ in range(n)
    ]
    followed = None if seed % 2 else random.integers(1, 15, n).astype(float)
    rows = [
        (place, time, value)
        for place, known in enumerate(series)
        if death[place] is None
        for time, value in known.items()
    ]
    subject, time, change = zip(*rows, strict=True) if rows else ((), (), ())
    found = cafs(
        [NAN if day is None else day for day in death],
        subject,
        time,
        change,
        common_time=mode,
        followed_until=followed,
    )
    expected = [
        sum(compared(one, other, death, series, followed, mode) for other in range(n) if other != one)
        for one in range(n)
    ]
    assert found.sums.tolist() == expected
    assert found.ranks.tolist() == stats.rankdata(expected).tolist()


people = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 24)),
        st.dictionaries(st.integers(0, 24), st.integers(-48, 10), min_size=1, max_size=5),
        st.integers(0, 30),
    ),
    max_size=25,
)


@given(people, st.sampled_from(["carry_last", "interpolate"]), st.booleans())
@settings(deadline=None, max_examples=150)
def test_sums_add_up_to_nothing(subjects, mode, lost_tie):
    """Whatever one wins another loses; ranks add up to n (n + 1) / 2."""
    rows = [(place, *point) for place, (_, known, _) in enumerate(subjects) for point in known.items()]
    subject, time, change = zip(*rows, strict=True) if rows else ((), (), ())
    found = cafs(
        [NAN if death is None else death for death, _, _ in subjects],
        subject,
        time,
        change,
        common_time=mode,
        followed_until=[until for _, _, until in subjects] if lost_tie else None,
    )
    n = len(subjects)
    assert found.sums.sum() == 0
    assert found.ranks.sum() == n * (n + 1) / 2


def test_nobody_and_one():
    assert cafs([], [], [], []).ranks.tolist() == []
    alone = cafs([NAN], [0], [1], [-3])
    assert (alone.sums.tolist(), alone.ranks.tolist()) == ([0], [1])
    assert (composite().n, composite().by_subject_rows) == (0, ())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([NAN], [0], [1], [NAN]), "missing or infinite"),
        (([NAN], [0], [NAN], [1]), "missing or infinite"),
        (([float("inf")], [], [], []), "missing or infinite"),
        (([NAN, 5], [1], [1], [1]), "no change: leave it out"),
        (([NAN], [0], [1], [1, 2]), "one length"),
        (([NAN], [1], [1], [1]), "no subject"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        cafs(*arguments)


def test_who_has_no_rank_is_named_with_the_reason():
    """Without a score after baseline a survivor cannot be compared; who died needs no score."""
    found = composite(
        subjects="subject_id | deceased | death\ndead | yes | 2024-06-01\nearly | yes | 2023-06-01\n"
        "once | |\nlate | |\nnothing | |",
        exposures="subject_id | started\ndead | 2024-01-01\nearly | 2024-01-01\nonce | 2024-01-01\n"
        "late | 2024-01-01",
        measurements="subject_id | measured | value\nonce | 2024-01-01 | 40\nlate | 2024-02-01 | 40",
    )
    assert {one.subject_id: one.reason for one in found.excluded} == {
        "early": "died before the index date",
        "late": "alive, and no score at or before the index date",
        "nothing": "neither a dose nor a score: no index date",
        "once": "alive, and no score after the index date",
    }
    assert sums(found) == {"dead": 0}


def test_who_has_no_arm_is_left_out_where_there_are_arms():
    study = study_of(subjects={"arms": dict(zip("ABCDE", "xyxyx", strict=True))})
    found = composite(study, **EXAMPLE)
    assert [(one.subject_id, one.reason) for one in found.excluded] == [("F", "no arm")]
    assert found.n == 5


def test_horizon_turns_later_deaths_into_survivors():
    """Until month 8 only A had died; B counts with its score of month 7, and the scores of 2025 do not count.

    C to F have no score until month 8: they are left out.
    """
    tables = EXAMPLE | {"measurements": EXAMPLE["measurements"] + "B | 2024-08-01 | 35\n"}
    found = composite(study_of(composite={"within_months": 8}), **tables)
    assert sums(found) == {"A": -1, "B": 1}
    assert {one.reason for one in found.excluded} == {"alive, and no score after the index date"}


def test_lost_survivors_are_told():
    """F was last seen in March, A and B died later: by the default policy F wins, and the reader knows."""
    tables = EXAMPLE | {
        "measurements": EXAMPLE["measurements"].replace("F          | 2025-01", "F | 2024-03")
    }
    default, tie = composite(**tables), composite(study_of(composite={"lost_before_death": "tie"}), **tables)
    assert any(caution.startswith("1 were last seen") for caution in default.cautions)
    assert (sums(default)["A"], sums(tie)["A"]) == (-5, -4)
    assert any("as ties" in caution for caution in tie.cautions)


def test_too_many_subjects_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(composite_module, "MOST", 3)
    found = composite(**EXAMPLE)
    assert (found.n, found.by_subject_rows) == (0, ())
    assert found.cautions == ("More than 3 subjects: pairs were not compared.",)


def test_three_arms_are_compared_by_kruskal_wallis():
    study = study_of(subjects={"arms": dict(zip("ABCDEF", "xxyyzz", strict=True))})
    found = composite(study, **EXAMPLE)
    expected = stats.kruskal([1, 2], [3, 4.5], [4.5, 6])
    assert found.test.method == "Kruskal-Wallis"
    assert (found.test.statistic, found.test.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("seed", SEEDS)
def test_rank_sum_agrees_with_scipy(seed, monkeypatch):
    """Exact without ties, and the normal approximation with ties and continuity correction."""
    print("seed", seed)
    random = np.random.default_rng(seed)
    n = int(random.integers(4, 30))
    first = np.arange(n) < random.integers(1, n)
    ranks = random.permutation(n) + 1.0
    statistic, p, exact = rank_sum_p(ranks, first)
    oracle = stats.mannwhitneyu(ranks[first], ranks[~first], method="exact")
    assert (statistic, exact) == (oracle.statistic, True)
    assert p == pytest.approx(oracle.pvalue, rel=1e-9)
    tied = stats.rankdata(random.integers(0, 6, n))
    monkeypatch.setattr(rank_sum_module, "EXACT_UP_TO", 0)
    oracle = stats.mannwhitneyu(tied[first], tied[~first], method="asymptotic")
    assert rank_sum_p(tied, first)[1] == pytest.approx(oracle.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_exact_rank_sum_with_ties_counts_all_choices(seed):
    print("seed", seed)
    random = np.random.default_rng(seed)
    ranks = stats.rankdata(random.integers(0, 4, 9))
    first = np.arange(9) < 4
    distance = abs(ranks[first].sum() - 4 * 5)
    choices = [abs(sum(choice) - 4 * 5) for choice in combinations(ranks.tolist(), 4)]
    expected = sum(one >= distance for one in choices) / len(choices)
    assert rank_sum_p(ranks, first)[1] == pytest.approx(expected, rel=1e-9)


def test_equal_ranks_have_p_one():
    """Everybody ties: no evidence, also where the approximation has no spread."""
    assert rank_sum_p(np.full(4, 2.5), np.array([True, False, True, False]))[1] == 1
    assert rank_sum_p(np.full(200, 100.5), np.arange(200) < 90)[1] == 1
    with pytest.raises(ValueError, match="both groups"):
        rank_sum_p(np.array([1.0, 2.0]), np.array([True, True]))
