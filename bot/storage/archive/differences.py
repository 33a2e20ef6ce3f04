"""Integers as differences within groups of rows, and back; 64 bits wrap on both ways, so that every value survives."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


def group_starts(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Indexes of rows whose code is not that of the row before; the first row always."""
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return np.concatenate((np.zeros(1, np.intp), changes)) if len(codes) else changes


def filled(values: Ints, valid: Flags, starts: npt.NDArray[np.intp], carry: int) -> Ints:
    """Each missing value replaced by the last one before it in its group, else 0, in the first group `carry`."""
    known = np.where(valid, values, 0)
    if not valid[0]:
        known[0] = carry
    stands_for_itself = valid.copy()
    stands_for_itself[starts] = True
    last = np.where(stands_for_itself, np.arange(len(values)), 0)
    return known[np.maximum.accumulate(last)]


def differences(values: Ints, starts: npt.NDArray[np.intp], carry: int) -> Ints:
    """Of each value to the one before; a group's first value itself, the first group's less `carry`."""
    steps = np.empty_like(values)
    np.subtract(values[1:], values[:-1], out=steps[1:])
    steps[starts] = values[starts]
    steps[0] = np.int64(_wrapped(int(values[0]) - carry))
    return steps


def running_sums(steps: Ints, starts: npt.NDArray[np.intp], carry: int) -> Ints:
    """The values that `differences` came from."""
    sums = np.cumsum(steps, dtype=np.int64)
    if len(starts) > 1:
        before = sums[starts[1:] - 1]
        lengths = np.diff(starts[1:], append=len(sums))
        sums[starts[1] :] -= np.repeat(before, lengths)
    if carry:
        end = starts[1] if len(starts) > 1 else len(sums)
        sums[:end] += np.int64(carry)
    return sums


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63
