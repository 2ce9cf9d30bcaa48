"""Spellings: how laboratories and people write one unit."""

import re

# Two micro signs look alike (U+00B5 and U+03BC); UCUM writes both as u.
_LOOK_ALIKES = str.maketrans({"µ": "u", "μ": "u", "×": "x", "·": ".", "⋅": ".", "∗": "*", "−": "-"})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")

# 10^9, x10^9, x10E9, 10e9, 10**9, 10x3, x10(9): the ways in which analysers write UCUM's 10*9.
_POWER = re.compile(r"^[xX*]?10(?:\*\*|[\^*xXeE]|\()([1-9][0-9]?)\)?(?![0-9])")
# "10^6 cells" and "10*6{cells}" are UCUM's 10*6.{cells}.
_POWER_OF_CELLS = re.compile(r"^(10\*[1-9][0-9]?)\.?(?:\{cells?\}|cells?\b)", re.IGNORECASE)

# M (mega) and P (peta) where a unit begins; a long word such as Million or Percent is no unit with a prefix.
_LARGE_PREFIX = re.compile(r"(?:^|[/.])[MP](?![A-Za-z]{6})")

_SHORTEST_FOLDED = 3


def normal_form(text: str) -> str:
    """Write a text without blanks, with plain micro signs and with powers of ten as in UCUM.

    >>> normal_form(" x10E9 / L ")
    '10*9/L'
    >>> normal_form("10⁶ cells/kg")
    '10*6.{cells}/kg'
    """
    plain = "".join(text.split()).translate(_LOOK_ALIKES)
    plain = _RAISED.sub(lambda raised: "^" + raised.group().translate(_SUPERSCRIPTS), plain)
    return _POWER_OF_CELLS.sub(r"\1.{cells}", _POWER.sub(r"10*\1", plain))


def folded(text: str) -> str | None:
    """Write a text in small letters; None where that could change its meaning.

    A capital M or P in front of a unit is mega or peta, m and p would be milli and pico. Texts of one or two
    letters are left alone for the same reason (S is siemens, ML is a megalitre).

    >>> folded("K/UL"), folded("Mg/dL"), folded("ML")
    ('k/ul', None, None)
    """
    if len(text) < _SHORTEST_FOLDED or _LARGE_PREFIX.search(text):
        return None
    return text.lower()


def changes_prefix(text: str, unit: str) -> bool:
    """Tell whether text is unit written with another prefix: Mg for mg, ML for mL.

    A compound all in capitals (MG/DL, MMOL/L) comes from a system that has no small letters.
    """
    if text.casefold() != unit.casefold() or (text.isupper() and "/" in text):
        return False
    return any(one != other and one in "mMpP" for one, other in zip(text, unit, strict=False))
