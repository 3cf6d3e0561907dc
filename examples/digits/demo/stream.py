"""A made-up stream of digits: images that nobody trained on, scanned anew each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import orjson

from digits.trainer import PIXELS, Images, scanned, unseen

RATE = 50
"""Requests a second."""
WRITERS = 1_000_000
"""Of each writer one digit is evidence, so that none of them speaks for many."""
LABEL_SECONDS = (2.0, 6.0)
BLOCK = 500
CORNER = [row * 8 + column for row in range(2) for column in range(2)]


class Sheet(NamedTuple):
    """One digit to read: the body of the request, the truth, and the seconds until somebody has typed it in."""

    body: bytes
    digit: str
    label_after: float
    blank: bool


@dataclass
class Stream:
    """The same sheets for the same `seed`, however many are taken at a time."""

    seed: int = 0
    blank_share: float = 0.0
    """Of this share of the sheets a new scanner leaves the first corner blank (null)."""

    def __post_init__(self) -> None:
        self._sheets = _sheets(np.random.default_rng(self.seed))

    def take(self, count: int) -> list[Sheet]:
        """The next `count` sheets."""
        return [self._sheet(*drawn) for drawn in islice(self._sheets, count)]

    def _sheet(self, scan: Images, digit: str, writer: int, label_after: float, chance: float) -> Sheet:
        blank = chance < self.blank_share
        if blank:
            scan[CORNER] = np.nan
        # orjson writes NaN as null, which is what the protocol has for a missing value.
        image = {"name": "image", "shape": [1, len(PIXELS)], "datatype": "FP64", "data": scan.tolist()}
        body = orjson.dumps({"inputs": [image], "parameters": {"routing_key": f"writer {writer}"}})
        return Sheet(body, digit, label_after, blank)


def _sheets(draw: np.random.Generator) -> Iterator[tuple[Images, str, int, float, float]]:
    """For ever: the scan, its digit, the writer, when the label comes, and the chance by which a corner is blank."""
    images, digits = unseen()
    while True:
        chosen = draw.integers(len(images), size=BLOCK)
        scans = scanned(images[chosen], draw)
        writers = draw.integers(WRITERS, size=BLOCK).tolist()
        delays, chances = draw.uniform(*LABEL_SECONDS, size=BLOCK).tolist(), draw.random(BLOCK).tolist()
        yield from zip(scans, digits[chosen].tolist(), writers, delays, chances, strict=True)
