"""Tables of what was received, what became of it, and what the data could not say."""

from fhiradapter.reports.formats import count, plain, setting
from fhiradapter.reports.table import LONGEST, Cell, Row, Table, numbers, remainder, words
from fhiradapter.reports.wording import label
from fhiradapter.results import Results


def balance(gap: int) -> Cell:
    """Return whether an account adds up."""
    if gap == 0:
        return Cell(text="\N{CHECK MARK} adds up", kind="good")
    return Cell(text=f"✗ {count(abs(gap))} {'lost' if gap > 0 else 'too many'}", kind="bad")


def snapshot_line(results: Results) -> str | None:
    """Return which run of a sync is shown and up to when each type was read."""
    made = results.snapshot
    if made is None:
        return None
    by_time: dict[str | None, list[str]] = {}
    for kind, until in made.read_up_to.items():
        by_time.setdefault(until, []).append(kind)
    read = "; ".join(
        f"{', '.join(kinds)} {'read as a whole' if until is None else f'up to {shown_time(until)}'}"
        for until, kinds in by_time.items()
    )
    gap = (
        "" if made.complete else " The run was not complete: what could not be read is as of an earlier run."
    )
    failed = f" {count(made.failed_units)} units wait to be read again." if made.failed_units else ""
    return (
        f"Synced from FHIR servers; this is the state after {made.run}, which ended"
        f" {shown_time(made.ended)}. It covers {read or 'nothing yet'}.{gap}{failed}"
    )


def shown_time(text: str) -> str:
    """Return an instant of UTC as people write it.

    >>> shown_time("2026-01-02T03:04:05.000Z")
    '2026-01-02 03:04:05 UTC'
    """
    return f"{text[:10]} {text[11:19]} UTC"


def accounting_table(results: Results) -> Table | None:
    """Return the account of every resource type: received = mapped + quarantined + ignored."""
    accounts = results.accounting
    if not accounts:
        return None
    rows: list[Row] = []
    sums = [0, 0, 0, 0]
    for kind, account in accounts.items():
        ignored = sum(account.ignored.values())
        parts = (account.received, account.mapped, account.quarantined, ignored)
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
        why = ", ".join(f"{plain(reason)} {count(times)}" for reason, times in account.ignored.items())
        gap = account.received - account.mapped - account.quarantined - ignored
        rows.append((plain(kind), *map(count, parts), balance(gap), why))
    total: Row = ("All types", *map(count, sums), balance(sums[0] - sum(sums[1:])), "")
    return Table(
        caption="Received = mapped + quarantined + ignored",
        columns=(
            *words("Resource type"),
            *numbers("Received", "Mapped", "Quarantined", "Ignored"),
            *words("Account", "Ignored because"),
        ),
        rows=(*rows, total),
    )


def issue_table(results: Results) -> Table | None:
    """Return the issues by reason and by what was done about them."""
    issues = results.quality.issues
    if not issues:
        return None
    order = ("quarantined", "ignored", "flagged")
    others = sorted({name for counts in issues.values() for name in counts} - set(order))
    dispositions = (*order, *others)
    return Table(
        caption="Issues by reason",
        columns=(*words("Reason"), *numbers(*map(label, dispositions))),
        rows=tuple(
            (
                plain(reason),
                *(
                    count(counts[name]) if counts.get(name) else Cell(text="0", kind="muted")
                    for name in dispositions
                ),
            )
            for reason, counts in issues.items()
        ),
        remarks=(
            "Quarantined: the resource could not be used. Ignored: left out by a stated rule. "
            "Flagged: used, with a doubt.",
        ),
    )


def unmapped_table(results: Results) -> Table | None:
    """Return the codes that no code list knows."""
    codes = results.quality.unmapped
    if not codes:
        return None
    return Table(
        caption="Codes that no code list knows",
        columns=(*words("Table", "Code", "Display", "Unit"), *numbers("Rows")),
        rows=tuple(
            (
                label(plain(code.table)),
                plain(code.code),
                plain(code.display or ""),
                plain(code.unit or ""),
                count(code.count),
            )
            for code in codes[:LONGEST]
        ),
        remarks=remainder(codes, "code"),
    )


def policy_table(results: Results) -> Table | None:
    """Return every choice that a number in this report depends on."""
    if not results.policies:
        return None
    return Table(
        caption="Policies in force",
        columns=words("Policy", "Value"),
        rows=tuple(
            (Cell(text=plain(name), kind="code"), setting(value)) for name, value in results.policies.items()
        ),
    )


def version_table(results: Results) -> Table | None:
    """Return the versions of everything that took part."""
    if not results.versions:
        return None
    return Table(
        caption="Versions",
        columns=words("What", "Version"),
        rows=tuple((plain(name), plain(version)) for name, version in results.versions.items()),
    )
