"""Missed targets: where the time goes in them, by a measured profile, and what would be needed."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from tests.benchmarks.resources import GENERATORS
from tests.benchmarks.steps import BARE, HASHING, PACKING, PARENTS, STARTING, UNPACKING, steps
from tests.benchmarks.workers import MACHINE

TARGET = re.compile(r"(at least|at most|under) ([\d.,]+)\Z|([\d.,]+)\Z")
PROFILED = 200_000  # resources; start-up is told apart, so that more would say the same
CORES = 2
OBJECT_STEPS = ("decoding", "regular rows: look-ups", "taking resources apart")
"""Steps that make, hash or look at one object of Python for each element."""


# What is not about the steps of mapping: where the time goes, and what would be needed.
ELSEWHERE = {
    "1,000,000 Observations, workers 2: rate / that of": (
        "DuckDB reads five columns in compiled code and checks nothing; what the steps above need "
        "beside it is what mapping does: units, dates, codes, accounts and Parquet."
    ),
    "3,000,000 Observations: Spark": (
        "Java, Spark and its Python workers take processor-seconds to start and to compile their "
        "plans, whatever the input, and what is mapped is written to files and read again to settle "
        "it. A session that runs already would be needed."
    ),
    "library: a Bundle": (
        "a call makes a kernel, a landing and eight tables of Arrow, and settles them, whatever the "
        "Bundle holds; what reads codes, units and dates is kept between calls already. Fewer tables "
        "would be needed."
    ),
    "library: from fhiradapter": "Arrow and numpy take most of it, and would have to come with a call.",
    "sync of 100,000 resources: percent": (
        "a change costs the opening and the checkpoint of the database and some sixty statements "
        "of a millisecond or two, however few rows they touch. Fewer tables would be needed, or a "
        "database that stays open between runs."
    ),
    "sync of 500,000 resources: peak": "the database's own memory and what mapping a page needs.",
    "sync of 1,500,000 resources: peak": "the database's own memory and what mapping a page needs.",
    "bulk files from loopback: ours": (
        "curl writes bytes. Ours are checked line by line to be objects, hashed, and written, each "
        "of which takes a third of the processor's time and more than the network; they overlap on "
        "two cores only when both are free. A check in compiled code would be needed."
    ),
    "analysis, 100,000 subjects": (
        "two processes share the rows of subjects; one cuts the parts and packs those of the other, puts "
        "together what comes of them, fits the model, draws the bootstraps and writes a result for each "
        "slope. Both cores have to be free for that; see how fast two bare processes of orjson.loads were."
    ),
    "peers, fhir.resources": (
        "it checks in compiled code, and one process of ours makes a dozen columns of checked and "
        "converted values of each resource. What the steps above say of Observations would be "
        "needed."
    ),
    "peers, FHIR-PYrate": "it gives six paths as they stand; see above for what our steps take.",
}


def shown(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


class Miss(NamedTuple):
    """A figure that is not what was aimed at."""

    name: str
    measured: float
    target: str


def misses(figures: Mapping[str, float], targets: Mapping[str, str]) -> list[Miss]:
    """Return the figures that miss their target.

    >>> misses({"a": 3, "b": 3.0, "c": 1}, {"a": "at least 4", "b": "under 3.5", "c": "0"})
    [Miss(name='a', measured=3, target='at least 4'), Miss(name='c', measured=1, target='0')]
    """
    return [
        Miss(name, figures[name], target)
        for name, target in targets.items()
        if name in figures and not is_met(figures[name], target)
    ]


def is_met(measured: float, target: str) -> bool:
    """Return True when a figure is what was aimed at. Raises ValueError for a target in other words."""
    match = TARGET.match(target)
    if match is None:
        raise ValueError(f"{target!r} is no target")
    limit = float((match[2] or match[3]).replace(",", ""))
    if match[1] == "at least":
        return measured >= limit
    if match[1] == "at most":
        return measured <= limit
    return measured < limit if match[1] == "under" else measured == limit


def explained(figures: Mapping[str, float], targets: Mapping[str, str]) -> list[str]:
    """Return the lines of a section about the missed targets; none when all are met."""
    missed = misses(figures, targets)
    if not missed:
        return []
    lines = ["## Missed targets", "", "| What | Measured | Target |", "|---|---:|---|"]
    lines += [f"| {miss.name} | {shown(miss.measured)} | {miss.target} |" for miss in missed]
    lines.append("")
    for kind in GENERATORS:
        of_kind = [miss for miss in missed if f"{kind}s" in miss.name]
        if of_kind:
            lines += _profile(kind, of_kind, figures)
    elsewhere = [(miss.name, _elsewhere(miss.name)) for miss in missed]
    if any(told for _, told in elsewhere):
        lines += ["### Elsewhere", ""]
        lines += [line for name, told in elsewhere if told for line in (f"{name}: {told}", "")]
    return lines


def _elsewhere(name: str) -> str:
    """Return what is to be said of a miss that has no profile of its own."""
    return next((told for begin, told in ELSEWHERE.items() if name.startswith(begin)), "")


def _profile(kind: str, missed: list[Miss], figures: Mapping[str, float]) -> list[str]:
    """Return where the time goes for resources of one type, and what would be needed."""
    found = steps(kind, PROFILED)
    starting, bare = found.pop(STARTING), found.pop(BARE)
    total = sum(found.values())
    lines = [
        f"### Where the time goes: {kind}",
        "",
        f"Processor microseconds a resource, of {PROFILED:,} in one process; the process itself took"
        f" {starting * PROFILED / 1e6:.2f} s to start, once. orjson.loads took {bare:.2f} there.",
        "",
        "| Step | Microseconds | Percent |",
        "|---|---:|---:|",
    ]
    for step, taken in sorted(found.items(), key=lambda item: -item[1]):
        lines.append(f"| {step} | {taken:.2f} | {100 * taken / total:.0f} |")
    lines += [f"| all | {total:.2f} | 100 |", ""]
    for miss in missed:
        if "resources a second" in miss.name:
            lines += [f"{miss.name}: {_rate(miss.target, found)}", ""]
        elif "times as fast as one" in miss.name:
            lines += [f"{miss.name}: {_ratio(found, figures)}", ""]
        elif "wall time a resource, of" in miss.name:
            lines += [f"{miss.name}: {_start(starting * PROFILED)}", ""]
    return lines


def _rate(target: str, found: Mapping[str, float]) -> str:
    """Return what a rate would need."""
    total = sum(found.values())
    budget = CORES * 1e6 / float(target.removeprefix("at least ").replace(",", ""))
    largest = ", ".join(sorted(found, key=lambda step: -found[step])[:3])
    room = f"{CORES} cores have {budget:.1f} microseconds for a resource, the steps take {total:.1f}."
    if total <= budget:
        return f"{room} The start of the processes takes the rest, and would have to be shorter."
    excess = total - budget
    first = max(found, key=lambda step: found[step])
    if found[first] > excess and first not in OBJECT_STEPS:
        return f"{room} Most of it is {first}, which would have to take {found[first] - excess:.1f}."
    objects = sum(found.get(step, 0.0) for step in OBJECT_STEPS)
    told = (
        f"{room} The largest are {largest}. {excess:.1f} have to go, and {objects:.1f} are for making"
        " and looking up an object of Python for each element, and freeing it comes to that: a decoder in"
        " compiled code that writes Arrow columns would be needed"
    )
    return f"{told}." if objects > excess else f"{told}, and {excess - objects:.1f} less of the other steps."


def _start(microseconds: float) -> str:
    """Return what the start of the processes does to the time of a resource."""
    return (
        f"starting a process takes {microseconds / 1e6:.2f} s of a processor, once and however many resources"
        " follow; the row without the start says what each resource costs. Processes that wait for the next"
        " command would be needed."
    )


def _ratio(found: Mapping[str, float], figures: Mapping[str, float]) -> str:
    """Return what a speed-up would need."""
    total = sum(found.values())
    alone = total - found[PACKING] - found[UNPACKING]
    parent = sum(found.get(step, 0.0) for step in PARENTS)
    machine = figures.get(MACHINE)
    told = f" Two processes of bare orjson.loads were {machine:.2f} times as fast as one." if machine else ""
    return (
        f"one process has {alone:.1f} microseconds of work a resource, of which it does"
        f" {found[HASHING]:.1f} beside the rest; two workers and their parent have {total:.1f}, of which the"
        f" parent does {parent:.1f}. Shared evenly by {CORES} cores that is"
        f" {CORES * (alone - found[HASHING]) / total:.2f} times as fast, before the start of the workers is"
        f" counted.{told} Workers that write row groups of their own would be needed."
    )
