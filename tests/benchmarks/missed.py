"""Missed targets: where the time goes in them, by a measured profile, and what would be needed."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from tests.benchmarks.resources import GENERATORS
from tests.benchmarks.steps import PACKING, PARENTS, STARTING, UNPACKING, steps

TARGET = re.compile(r"(at least|at most|under) ([\d.,]+)\Z|([\d.,]+)\Z")
PROFILED = 200_000  # resources; start-up is told apart, so that more would say the same
CORES = 2
PYTHON_STEPS = ("decoding", "regular rows: look-ups", "taking resources apart, and freeing them")
"""Steps that make, hash or free one object of Python for each element."""


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
    lines += [f"| {miss.name} | {miss.measured:,.3g} | {miss.target} |" for miss in missed]
    lines.append("")
    for kind in GENERATORS:
        of_kind = [miss for miss in missed if f" {kind}s, " in miss.name]
        if of_kind:
            lines += _profile(kind, of_kind, figures)
    return lines


def _profile(kind: str, missed: list[Miss], figures: Mapping[str, float]) -> list[str]:
    """Return where the time goes for resources of one type, and what would be needed."""
    found = steps(kind, PROFILED)
    starting = found.pop(STARTING)
    total = sum(found.values())
    lines = [
        f"### Where the time goes: {kind}",
        "",
        f"Processor microseconds a resource, of {PROFILED:,} in one process; the process itself took"
        f" {starting * PROFILED / 1e6:.2f} s to start, once.",
        "",
        "| Step | Microseconds | Percent |",
        "|---|---:|---:|",
    ]
    for step, taken in sorted(found.items(), key=lambda item: -item[1]):
        lines.append(f"| {step} | {taken:.2f} | {100 * taken / total:.0f} |")
    lines += [f"| all | {total:.2f} | 100 |", ""]
    for miss in missed:
        lines += [f"{miss.name}: {needed}", ""] if (needed := _needed(miss, found, starting, figures)) else []
    return lines


def _needed(
    miss: Miss, found: Mapping[str, float], starting: float, figures: Mapping[str, float]
) -> str | None:
    """Return in a sentence what it would take to meet a target; None where the table says it all."""
    total = sum(found.values())
    largest = ", ".join(sorted(found, key=lambda step: -found[step])[:3])
    if "resources a second" in miss.name:
        budget = CORES * 1e6 / float(miss.target.removeprefix("at least ").replace(",", ""))
        python = sum(found[step] for step in PYTHON_STEPS if step in found)
        sentence = (
            f"{CORES} cores have {budget:.1f} microseconds for a resource, and the steps take {total:.1f}, most"
            f" of it {largest}. Without any object of Python for an element, {python:.1f} of them would go: a"
            " decoder in compiled code that writes Arrow columns would be needed."
        )
        return sentence if total > budget else f"{sentence.split(', and')[0]}; starting takes the rest."
    if "times as fast as one" in miss.name:
        alone = sum(taken for step, taken in found.items() if step not in (PACKING, UNPACKING))
        parent = sum(found.get(step, 0.0) for step in PARENTS)
        machine = figures.get("two processes of orjson.loads, times as fast as one")
        on_this = (
            f" On this machine two processes of orjson.loads were {machine:.2f} times as fast."
            if machine
            else ""
        )
        return (
            f"both cores together have {total:.1f} microseconds of work a resource with packing, and one process"
            f" {alone:.1f}, so that {2 * alone / total:.2f} is the most that two cores can give before the start"
            f" of the processes is counted; {parent:.1f} of it are the parent's.{on_this} Workers that write"
            " row groups of their own would take the packing away."
        )
    return None
