"""What the verbs of a store say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from fhiradapter.console.screens import data, plain_table

if TYPE_CHECKING:
    from fhiradapter.store.ledger import Run
    from fhiradapter.store.quarantine import Quarantined
    from fhiradapter.store.status import Status
    from fhiradapter.sync.aftermath import Since
    from fhiradapter.sync.checking import ServerCheck
    from fhiradapter.sync.export_listing import ExportLine
    from fhiradapter.sync.rehearsal import Rehearsal
    from fhiradapter.tracing import Explanation

RUNS = ("run", "seconds", "outcome", "new", "changed", "removed", "units", "failed", "excluded")


def print_sync(run: "Run", remarks: Sequence[str], files: Mapping[str, Path]) -> None:
    """Print what one run did."""
    print_runs([run])
    for remark in remarks:
        data.print(f"note: {remark}", soft_wrap=True, markup=False)
    for name, path in files.items():
        data.print(f"{name + ':':<9}{path}", soft_wrap=True, markup=False)


def print_runs(runs: "Sequence[Run]") -> None:
    """Print runs, one line each."""
    table = plain_table(*RUNS, right=RUNS[1:2] + RUNS[3:])
    table.columns[0].no_wrap, table.columns[0].overflow = True, "ignore"  # the name says when it began
    for run in runs:
        seconds = (run.ended_at - run.started_at).total_seconds() if run.ended_at else None
        table.add_row(
            run.run_id,
            f"{seconds:,.1f}" if seconds is not None else "",
            f"{run.kind}, {run.outcome}",
            *(
                f"{count:,}"
                for count in (run.new, run.changed, run.removed, run.planned, run.failed, run.excluded)
            ),
        )
    data.print(table)


def print_status(status: "Status", since: "Since | None") -> None:
    """Print the status of a store."""
    if not status.runs:
        data.print("no run yet")
        return
    print_runs(status.runs)
    table = plain_table(
        "resource type", "current", "deleted", "hidden", "read up to", right=("current", "deleted", "hidden")
    )
    marks: dict[str, str] = {}
    for mark in status.watermarks:
        if "/" not in mark.shard:  # those of deletions and comparisons are beside a type's own
            marks[mark.type] = min(mark.until, marks.get(mark.type, mark.until))
    for kind in sorted(status.resources.keys() | marks):
        states = status.resources.get(kind, {})
        table.add_row(
            kind,
            f"{states.get('current', 0):,}",
            f"{states.get('deleted', 0) + states.get('gone', 0):,}",
            f"{states.get('hidden', 0) + states.get('access_lost', 0):,}",
            _instant(marks.get(kind)),
        )
    data.print()
    data.print(table)
    for title, counts in (("quarantine", status.quarantine), ("the server remarked", status.warnings)):
        if counts:
            parts = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
            data.print(f"\n{title}: {parts}", soft_wrap=True, markup=False)
    for unit in status.failed:
        data.print(f"to be tried again: {unit.name}", soft_wrap=True, markup=False)
    if since is not None:
        data.print(f"\n{since.sentence}", soft_wrap=True, markup=False)


def print_quarantine(found: "Sequence[Quarantined]") -> None:
    """Print what is in quarantine; a resource's name stands whole on its line, to be copied."""
    for one in found:
        version = f" version {one.version}" if one.version else ""
        where = f" at {one.path}" if one.path else ""
        data.print(f"{one.type}/{one.id}{version}: {one.reason}{where}", soft_wrap=True, markup=False)
        remarks = [
            one.detail,
            "an older version is shown" if one.shown else "nothing of it is shown",
            f"{one.file}:{one.line}",
        ]
        text = Text("    " + "; ".join(remark for remark in remarks if remark), style="dim")
        data.print(text, soft_wrap=True)
    data.print(f"{len(found):,} in quarantine")


def print_exports(found: "Sequence[ExportLine]") -> None:
    """Print bulk exports, one line each."""
    table = plain_table("export", "source", "began", "state", "level", "types", "since")
    for one in found:
        cells = (one.id, one.source, one.began, one.step, one.level, ", ".join(one.types), one.since or "")
        table.add_row(*(Text(cell) for cell in cells))
    data.print(table if found else "no export yet")


def print_servers(found: "Sequence[ServerCheck]") -> None:
    """Print what servers are, what they can do, and how each type will be read."""
    for one in found:
        cohort = "everybody" if one.patients is None else f"{one.patients:,} Patients"
        facts = {
            "server": f"{one.source}: {one.base_url}",
            "software": " ".join(
                filter(None, (one.software, one.fhir_version and f"FHIR {one.fhir_version}"))
            ),
            "known as": one.authentication + (f", granted {' '.join(one.granted)}" if one.granted else ""),
            "bulk export": ", ".join(one.exports) or "not offered",
            "cohort": cohort,
        }
        table = plain_table("", "")
        for name, value in facts.items() if one.problem is None or one.feeds else [*facts.items()][:1]:
            table.add_row(Text(name, style="bold"), Text(value))
        data.print(table)
        feeds = plain_table("resource type", "feed, and why")
        for kind, why in one.feeds.items():
            feeds.add_row(kind, Text(why))
        if one.feeds:
            data.print(feeds)
        if one.problem:
            data.print(f"problem: {one.problem}", soft_wrap=True, markup=False)


def print_rehearsal(found: "Rehearsal") -> None:
    """Print what a sync would change."""
    data.print(f"would add {found.new:,}, change {found.changed:,} and remove {found.removed:,} resources")
    table = plain_table("period", "n", "mean slope now", "n then", "mean slope then", right=("n", "n then"))
    for line in found.slopes:
        cells = (
            line.period,
            _count(line.n),
            _slope(line.slope),
            _count(line.n_then),
            _slope(line.slope_then),
        )
        table.add_row(*cells)
    if found.slopes:
        data.print(f"\n{found.concept}, {found.unit}")
        data.print(table)


def print_explanation(found: "Explanation") -> None:
    """Print where a row comes from."""
    table = plain_table("", "")
    for name, value in found.lines():
        table.add_row(Text(name, style="bold"), Text(value))
    data.print(table)
    for issue in found.issues:
        data.print(
            f"{issue.disposition}: {issue.reason} at {issue.path or 'the resource'}: {issue.detail}",
            soft_wrap=True,
            markup=False,
        )
    if found.raw is not None:
        data.print(f"\n{found.raw}", soft_wrap=True, markup=False)


def _instant(text: str | None) -> str:
    return f"{text[:10]} {text[11:19]}Z" if text else "read as a whole"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _slope(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
