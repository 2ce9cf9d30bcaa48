"""Tables that set the arms beside each other."""

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import MINUS, brief, count, interval, number, p_value, plain, share, spread
from fhiradapter.reports.progression_tables import fitted_table
from fhiradapter.reports.table import Cell, Row, Table, numbers, words
from fhiradapter.reports.wording import inner, label
from fhiradapter.results import Arms, CharacteristicRow, Results


def summary_table(arms: Arms) -> Table:
    """Return who is in each arm and what they were given."""
    treated = any(arm.infusions is not None for arm in arms.arms.values())
    return Table(
        caption="Arms",
        columns=(
            *words("Arm"),
            *numbers("n", *(("Treated", "Infusions, median (range)") if treated else ()), "Deaths"),
        ),
        rows=tuple(
            (
                label(plain(name)),
                count(arm.n),
                *((count(arm.treated), spread(arm.infusions) if arm.infusions else "") if treated else ()),
                share(arm.deaths, arm.n),
            )
            for name, arm in arms.arms.items()
        ),
        remarks=(f"Without an arm: {', '.join(map(plain, arms.without_arm[:24]))}.",)
        if arms.without_arm
        else (),
    )


def baseline_by_arm_table(arms: Arms) -> Table | None:
    """Return the baseline characteristics, an arm beside the other."""
    tables = [arm.baseline_table for arm in arms.arms.values()]
    places = list(dict.fromkeys((row.name, row.level) for table in tables for row in table))
    if not places:
        return None
    by_place = [{(row.name, row.level): row for row in table} for table in tables]
    rows: list[Row] = []
    previous = None
    for place in places:
        name, level = place
        found = [table.get(place) for table in by_place]
        heading = f"{label(plain(name))}{_unit(found)}"
        if level is not None and name != previous:
            rows.append((Cell(text=heading, kind="group"), *[""] * len(tables)))
        first = heading if level is None else Cell(text=label(plain(level)), kind="inside")
        rows.append((first, *(_value(row, level) for row in found)))
        previous = name if level is not None else None
    return Table(
        caption="Baseline characteristics by arm",
        columns=(
            *words("Characteristic"),
            *numbers(*(f"{label(plain(name))}, n = {arm.n}" for name, arm in arms.arms.items())),
        ),
        rows=tuple(rows),
        remarks=(
            "Numbers are median (range), categories are count (percent). No p values: at baseline, a "
            "difference between randomised arms is chance.",
        ),
    )


def _unit(found: list[CharacteristicRow | None]) -> str:
    units = {plain(row.unit) for row in found if row and row.unit and row.unit not in row.name}
    return f", {', '.join(sorted(units))}" if units else ""


def _value(row: CharacteristicRow | None, level: str | None) -> str:
    if row is None:
        return "" if level is None else "0"
    return f"{row.value}, {row.missing} missing" if level is None and row.missing and row.n else row.value


def slope_table(results: Results, arms: Arms) -> Table:
    """Return the arms' mean slopes."""
    return Table(
        caption=f"Slopes by arm {inner(arms.period)}, points per month",
        columns=(
            *words("Arm"),
            *numbers("n", "Mean", "SD", "SE", f"{confidence(results)} t interval", "Excluded"),
        ),
        rows=tuple(
            (
                label(plain(row.arm)),
                count(row.n),
                number(row.mean_slope),
                number(row.sd),
                number(row.se),
                interval(row.ci95),
                count(row.excluded),
            )
            for row in arms.slopes
        ),
        remarks=("n counts the subjects whose period is adequate.",),
    )


def difference_table(results: Results, arms: Arms) -> Table:
    """Return how much the arms' slopes differ from the reference arm's, by both methods."""
    reference = label(plain(arms.reference))
    rows: list[Row] = [
        (
            f"{label(plain(row.arm))} {MINUS} {reference}",
            "Subjects' slopes (Welch)",
            f"{count(row.n)} and {count(row.reference_n)}",
            number(row.estimate),
            number(row.se),
            interval(row.ci95),
            brief(None if row.degrees_of_freedom is None else round(row.degrees_of_freedom, 1)),
            p_value(row.p),
        )
        for row in arms.differences
    ]
    rows += [
        (
            f"{label(plain(name))} {MINUS} {reference}",
            "Mixed model",
            count(contrast.n),
            number(contrast.estimate),
            number(contrast.se),
            interval(contrast.ci95),
            "",
            "",
        )
        for name, contrast in (arms.model.contrasts if arms.model else {}).items()
    ]
    return Table(
        caption=f"Differences between arms {inner(arms.period)}, points per month",
        columns=(
            *words("Comparison", "Source"),
            *numbers("n", "Estimate", "SE", f"{confidence(results)} interval", "Degrees of freedom", "p"),
        ),
        rows=tuple(rows),
        remarks=("Above zero: the arm loses fewer points per month than the reference arm.",),
    )


def model_by_arm_table(arms: Arms) -> Table | None:
    """Return the coefficients of the mixed model of the arms."""
    if arms.model is None:
        return None
    return fitted_table(arms.model, f"Mixed model of the score by arm {inner(arms.period)}")


def overview_by_arm_table(arms: Arms) -> Table | None:
    """Return the subjects with at least one event, an arm beside the other."""
    if not arms.overview:
        return None
    lines = list(dict.fromkeys(line for overview in arms.overview.values() for line in overview))
    return Table(
        caption="Adverse events by arm: subjects with at least one",
        columns=(
            *words("Event"),
            *numbers(
                *(
                    heading
                    for name in arms.overview
                    for heading in (f"{label(plain(name))}, n/N (%)", "Events")
                )
            ),
        ),
        rows=tuple(
            (
                label(plain(line)),
                *(
                    cell
                    for overview in arms.overview.values()
                    for cell in (
                        (share(overview[line].count, overview[line].n), count(overview[line].events))
                        if line in overview
                        else ("", "")
                    )
                ),
            )
            for line in lines
        ),
        remarks=("Each arm is counted by itself; intervals for all subjects stand under Safety.",),
    )
