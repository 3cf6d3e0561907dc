"""A made-up stream of digits: images that nobody trained on, scanned anew each time."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import orjson

from digits.trainer import PIXELS, scanned, unseen

RATE = 50
"""Requests a second."""
WRITERS = 5_000
LABEL_SECONDS = (2.0, 6.0)
CORNER = [row * 8 + column for row in range(2) for column in range(2)]


class Sheet(NamedTuple):
    """One digit to read: the body of the request, the truth, and the seconds until somebody has typed it in."""

    body: bytes
    digit: str
    label_after: float
    blank: bool


@dataclass
class Stream:
    """The same sheets for the same `seed`, as long as `blank_share` is set at the same places."""

    seed: int = 0
    blank_share: float = 0.0
    """Of this share of the sheets a new scanner leaves the first corner blank (null)."""
    _generator: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

    def take(self, count: int) -> list[Sheet]:
        """The next `count` sheets."""
        draw = self._generator
        images, digits = unseen()
        chosen = draw.integers(len(images), size=count)
        scans = scanned(images[chosen], draw)
        writers = draw.integers(WRITERS, size=count)
        delays = draw.uniform(*LABEL_SECONDS, size=count)
        blank = draw.random(count) < self.blank_share
        for row in np.flatnonzero(blank):
            scans[row, CORNER] = np.nan
        return [
            Sheet(_body(scan.tolist(), int(writer)), str(digits[image]), float(delay), bool(is_blank))
            for scan, writer, image, delay, is_blank in zip(scans, writers, chosen, delays, blank, strict=True)
        ]


def _body(pixels: list[float], writer: int) -> bytes:
    # orjson writes NaN as null, which is what the protocol has for a missing value.
    image = {"name": "image", "shape": [1, len(PIXELS)], "datatype": "FP64", "data": pixels}
    return orjson.dumps({"inputs": [image], "parameters": {"routing_key": f"writer {writer}"}})
