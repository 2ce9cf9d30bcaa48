"""Measured: the numbers, units and limits of many results at once, as far as each is plain.

Where a quantity begins with its number, as most systems write it, numbers are read as a column, and what
follows them is looked up once for each distinct text. Others are looked up one by one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.mappers.result_memory import MOST, UNKNOWN, Places, ResultMemory

TEXT = pa.string()
TIGHT, SPACED = '{"value":', '{"value": '
DIGITS, NUMBER_STARTS = (np.isin(np.arange(256), list(some)) for some in (b"0123456789", b"-0123456789"))
# Whole numbers up to here, and powers of ten up to this one, are doubles without rounding.
EXACT_WHOLE = 2.0**53
EXACT_POWERS = 10.0 ** np.arange(23)


class Measured(NamedTuple):
    """Values, numbers as sent, and the places of units' uses and of limits; either UNKNOWN for the others."""

    values: npt.NDArray[np.float64]
    numbers: pa.Array
    uses: Places
    limits: Places


def measured(sent: Sequence[bytes], tests: Places, ranges: Places, memory: ResultMemory) -> Measured:
    """Return what quantities and reference ranges mean for the codes that they are of.

    Codes and ranges are given by their places in the memory.
    """
    # The text of a batch was found to be UTF-8, and these are parts of it.
    parted = _parted(pa.array(sent, pa.binary()).view(TEXT)) if len(sent) else None
    if parted is None:
        return _one_by_one(sent, tests, ranges, memory)
    numbers, tails = parted
    words = tails.dictionary.to_pylist()

    def meaning(key: int, row: int) -> tuple[int, int]:
        test, tail = divmod(key // MOST, len(words))
        use = memory.use_of(test, words[tail], numbers[row].as_py(), sent[row])
        return use, memory.limits_of(use, key % MOST)

    uses, limits = _each((tests * len(words) + tails.indices.to_numpy()) * MOST + ranges, meaning)
    values = _converted(numbers, uses, memory)
    for row in np.flatnonzero(uses == UNKNOWN).tolist():  # scores, which are whole numbers, are among them
        amount = memory.amount(int(tests[row]), sent[row])
        # Of a value that comes twice the second one is meant.
        if amount is not None and amount.source_value == numbers[row].as_py():
            values[row], uses[row] = amount.value, amount.use
            limits[row] = memory.limits_of(amount.use, int(ranges[row]))
    return Measured(values, numbers, uses, limits)


def _converted(numbers: pa.Array, uses: Places, memory: ResultMemory) -> npt.NDArray[np.float64]:
    """Return numbers in the units of their uses; a use becomes UNKNOWN where there is anything to say."""
    values: npt.NDArray[np.float64] = numbers.cast(pa.float64()).to_numpy().copy()
    scales = memory.scales()[uses]
    low, high, factor, decimals, as_sent = scales.T
    if not as_sent.all():
        # Whole numbers times whole numbers, and one rounding in the end, as decimals would have it.
        places, plain = _decimals(numbers)
        power = places + decimals.astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(values * EXACT_POWERS[np.minimum(places, 22)])
            product = whole * factor + 0.0  # decimals know no negative zero
        exact = plain & (np.abs(whole) < EXACT_WHOLE / 8) & (np.abs(product) < EXACT_WHOLE) & (power < 23)
        np.divide(product, EXACT_POWERS[np.minimum(power, 22)], out=values, where=exact & (as_sent == 0))
        rest = np.flatnonzero(~exact & (as_sent == 0) & (uses != UNKNOWN))
        for row in rest.tolist():
            found = memory.convert(int(uses[row]), numbers[row].as_py())
            values[row] = np.nan if found is None else found
    uses[~((values >= low) & (values <= high))] = UNKNOWN
    return values


def _decimals(numbers: pa.Array) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return how many digits numbers have after the point, and which of them have no exponent."""
    offsets, letters = _letters(numbers)
    places = np.zeros(len(numbers), np.int64)
    points = np.flatnonzero(letters == ord("."))
    rows = np.searchsorted(offsets, points, "right") - 1
    places[rows] = offsets[rows + 1] - 1 - points
    plain = np.ones(len(numbers), bool)
    plain[np.searchsorted(offsets, np.flatnonzero(letters > ord("9")), "right") - 1] = False
    return places, plain


def _each(keys: Places, found: Callable[[int, int], tuple[int, int]]) -> tuple[Places, Places]:
    """Ask once for each distinct key, with a row that has it; return both answers row by row."""
    coded = pa.array(keys).dictionary_encode()
    places = coded.indices.to_numpy()
    distinct = coded.dictionary.to_pylist()
    # Distinct keys are numbered as they come first.
    firsts = np.searchsorted(np.maximum.accumulate(places), np.arange(len(distinct)))
    answers = [found(key, row) for key, row in zip(distinct, firsts.tolist(), strict=True)]
    first, second = np.array(answers, np.int64).reshape(-1, 2).T
    return first[places], second[places]


def _parted(sent: pa.Array) -> tuple[pa.Array, pa.DictionaryArray] | None:
    """Return the numbers that quantities begin with and what follows them, None when not all do."""
    split = pc.split_pattern(sent, ",", max_splits=1)
    if not (np.diff(split.offsets.to_numpy()) == 2).all():
        return None
    heads = pc.list_element(split, 0)
    beginning = SPACED if heads[0].as_py().startswith(SPACED) else TIGHT
    if not pc.all(pc.starts_with(heads, beginning)).as_py():
        return None
    numbers = pc.utf8_slice_codeunits(heads, len(beginning))
    return (numbers, pc.list_element(split, 1).dictionary_encode()) if _are_numbers(numbers) else None


def _are_numbers(texts: pa.Array) -> bool:
    """Return True when parts of JSON, each up to a comma, are numbers and nothing else."""
    offsets, letters = _letters(texts)
    if not (offsets[1:] > offsets[:-1]).all():
        return False
    # What begins like a number and ends with a digit is one, since the whole was read as JSON.
    return bool(NUMBER_STARTS[letters[offsets[:-1]]].all() and DIGITS[letters[offsets[1:] - 1]].all())


def _letters(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return where texts begin, and where the last one ends, among the bytes of all."""
    _, offsets, letters = texts.buffers()
    begins = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return begins, np.frombuffer(letters, np.uint8)[: begins[-1]]


def _one_by_one(sent: Sequence[bytes], tests: Places, ranges: Places, memory: ResultMemory) -> Measured:
    found = [memory.amount(test, one) for test, one in zip(tests.tolist(), sent, strict=True)]
    uses = [one.use if one else UNKNOWN for one in found]
    return Measured(
        np.array([one.value if one else 0.0 for one in found], np.float64),
        pa.array([one.source_value if one else None for one in found], TEXT),
        np.array(uses, np.int64),
        np.array([memory.limits_of(*key) for key in zip(uses, ranges.tolist(), strict=True)], np.int64),
    )
