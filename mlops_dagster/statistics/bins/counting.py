"""Counts of numbers below given edges, the basis of all counting in numeric bins."""

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_Numbers: TypeAlias = npt.NDArray[np.float64]

_BLOCK: Final = 65_536  # numbers that fit into the processor's cache
_FEW: Final = 32  # edges: comparing with each is faster than sorting
_STEPS: Final = 16_384  # the first and the last step are for numbers beyond the edges
_LAST: Final = _STEPS - 2


def count_below(edges: _Numbers, numbers: _Numbers) -> npt.NDArray[np.int64]:
    """Return the number of `numbers` (without NaN) below each of the edges, which are finite and increasing.

    >>> count_below(np.array([0.0, 10.0]), np.array([-5.0, 0.0, 9.9, 10.0, np.inf])).tolist()
    [1, 3]
    """
    if len(edges) <= _FEW:
        return sum((_compared(edges, block) for block in _blocks(numbers)), np.zeros(len(edges), dtype=np.int64))
    width = float(edges[-1]) - float(edges[0])
    if len(numbers) >= _STEPS and math.isfinite(width) and math.isfinite(_STEPS / width):
        return _stepped(edges, numbers)
    return np.searchsorted(np.sort(numbers), edges)


def _blocks(numbers: _Numbers) -> Iterator[_Numbers]:
    for start in range(0, len(numbers), _BLOCK):
        yield np.ascontiguousarray(numbers[start : start + _BLOCK])


def _compared(edges: _Numbers, block: _Numbers) -> npt.NDArray[np.int64]:
    return np.array([np.count_nonzero(block < edge) for edge in edges], dtype=np.int64)


def _stepped(edges: _Numbers, numbers: _Numbers) -> npt.NDArray[np.int64]:
    """Count by steps of equal width between the first and the last edge.

    The step of a number takes a few operations that keep the order of numbers in spite of rounding, so a number in a
    lower step than an edge is below it. Only numbers in a step that contains an edge are sorted.
    """
    first, last = edges[[0, -1]].tolist()
    scale = _LAST / (last - first)

    def step_of(values: _Numbers) -> npt.NDArray[np.int16]:
        with np.errstate(over="ignore"):
            steps: _Numbers = (values - first) * scale
        np.clip(steps, -1, _LAST, out=steps)
        steps += 1
        return steps.astype(np.int16)

    at = step_of(edges)
    has_edge = np.zeros(_STEPS, dtype=np.bool_)
    has_edge[at] = True
    in_step, below = np.zeros(_STEPS, dtype=np.int64), np.zeros(len(edges), dtype=np.int64)
    for block in _blocks(numbers):
        steps = step_of(block)
        in_step += np.bincount(steps, minlength=_STEPS)
        below += np.searchsorted(np.sort(block[has_edge[steps]]), edges)
    in_step[has_edge] = 0
    return below + np.cumsum(in_step)[at]
