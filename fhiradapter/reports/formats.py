"""How a report writes a number, a date or a text; what is missing is an en dash that says so."""

import math
import re
from datetime import date
from typing import TypeGuard

from fhiradapter.results import Interval, Spread

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"

# Controls are no XML, lone surrogates are no UTF-8, and a direction override makes text look like other text.
UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(text: str, *, longest: int | None = None) -> str:
    r"""Return text on one line without characters that cannot be shown.

    >>> plain("S-1\x00\nb"), plain("a long name", longest=6)
    ('S-1� b', 'a lon…')
    """
    shown = re.sub(r"[ \t\n\v\f\r]+", " ", UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)).strip(" ")
    if longest is not None and len(shown) > longest:
        return shown[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return shown


def units(text: str) -> str:
    """Return text with its units as people write them, and not as UCUM does.

    >>> units("38.1 Cel"), units("91 mm[Hg]"), units("142 10*9/L"), units("61.9 umol/L")
    ('38.1 °C', '91 mmHg', '142 10⁹/L', '61.9 µmol/L')
    """
    text = text.replace("mm[Hg]", "mmHg").replace("[iU]", "IU").replace("{score}", "points")
    text = re.sub(r"\bCel\b", "°C", text)
    text = re.sub(r"\bu(?=mol\b|g\b|L\b)", "µ", text)
    return re.sub(r"\b10\*(\d+)", lambda power: "10" + power[1].translate(RAISED), text)


def known(value: float | None) -> TypeGuard[float]:
    """Return True for a number that can be shown and drawn.

    >>> known(0.0), known(None), known(float("nan"))
    (True, False, False)
    """
    return value is not None and math.isfinite(value)


def number(value: float | None, *, decimals: int = 2) -> str:
    """Return a number with a fixed count of decimals and a true minus sign.

    >>> number(-1.664), number(-0.001), number(None)
    ('−1.66', '0.00', '–')
    """
    if not known(value):
        return MISSING
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def significant(value: float | None, *, digits: int = 3) -> str:
    """Return a number with some significant digits, for quantities of unknown size.

    >>> significant(0.012345), significant(61.28), significant(98765.4)
    ('0.0123', '61.3', '98,765')
    """
    if not known(value):
        return MISSING
    size = math.floor(math.log10(abs(value))) if value else 0
    return number(value, decimals=min(max(digits - 1 - size, 0), 6))


def brief(value: float | None) -> str:
    """Return a number with as few decimals as it needs, two at most.

    >>> brief(11.0), brief(48.5), brief(1234567.0)
    ('11', '48.5', '1,234,567')
    """
    shown = number(value, decimals=2)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def count(value: int | None) -> str:
    """Return a count with thousands set apart.

    >>> count(12345)
    '12,345'
    """
    return MISSING if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    r"""Return a percentage with one decimal.

    >>> percent(45.926)
    '45.9\xa0%'
    """
    shown = number(value, decimals=1)
    return shown if shown == MISSING else f"{shown}\N{NO-BREAK SPACE}%"


def interval(limits: Interval | None, *, decimals: int = 2) -> str:
    """Return an interval; `to` and not a dash, which beside a minus sign misleads.

    >>> interval((-2.034, -1.286))
    '−2.03 to −1.29'
    """
    if limits is None or not all(map(math.isfinite, limits)):
        return MISSING
    return f"{number(limits[0], decimals=decimals)} to {number(limits[1], decimals=decimals)}"


def p_value(value: float | None) -> str:
    """Return a p value with three decimals, or four below 0.1.

    >>> p_value(0.03125), p_value(0.437), p_value(0.00002)
    ('0.0312', '0.437', '< 0.0001')
    """
    if not known(value):
        return MISSING
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def day(value: date | None) -> str:
    """Return a local day in ISO form.

    >>> day(date(2024, 2, 29))
    '2024-02-29'
    """
    return MISSING if value is None else value.isoformat()


def cells(value: float | None) -> str:
    """Return a number of cells in millions.

    >>> cells(1.1e9)
    '1,100'
    """
    return MISSING if value is None else brief(value / 1e6)


def spread(value: Spread, *, unit: str = "") -> str:
    """Return a median with its range.

    >>> spread(Spread(n=6, median=48.5, min=27, max=66), unit="years")
    '48.5 years (27\N{EN DASH}66)'
    """
    if value.median is None:
        return MISSING
    middle = f"{brief(value.median)} {unit}".strip()
    if value.min is None or value.max is None:
        return middle
    return f"{middle} ({brief(value.min)}\N{EN DASH}{brief(value.max)})"


def share(part: int, whole: int) -> str:
    r"""Return n/N with its percentage.

    >>> share(1, 6)
    '1/6 (16.7\xa0%)'
    """
    return f"{part}/{whole}" if whole == 0 else f"{part}/{whole} ({percent(100 * part / whole)})"


def setting(value: object) -> str:
    """Return a setting's value in words.

    >>> setting(None), setting(True), setting([]), setting({"count": 4, "every": "week"})
    ('not set', 'yes', 'empty', 'count 4, every week')
    """
    match value:
        case None:
            return "not set"
        case bool():
            return "yes" if value else "no"
        case float():
            return "not a number" if math.isnan(value) else f"{value:.12g}"
        case dict():
            return ", ".join(f"{name} {setting(part)}" for name, part in value.items()) or "empty"
        case list() | tuple():
            return "; ".join(map(setting, value)) or "empty"
        case _:
            return plain(str(value))
