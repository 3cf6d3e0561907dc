"""The metrics of all processes that share a folder, as text for Prometheus.

prometheus_client merges and writes some 30,000 series a second, and holds the interpreter meanwhile: with fifty models
a worker would answer nothing for a second of every scrape. The files only ever grow, so the names of the series are
read once here, and a scrape only adds numbers. Gauges, few and in files that come and go, are left to the library.
"""

import struct
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_HEADER: Final = 8
"""Bytes before the first entry of a file; an entry is the length of its key, the key, and value and time as doubles."""


class SharedMetrics:
    """The metrics in the files of a folder; its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _File] = {}
        self._places: dict[bytes, int] = {}
        self._families: list[_Family] = []
        self._reading = threading.Lock()

    def text(self) -> bytes:
        """Return all metrics: counters and histograms of all processes added up, and gauges by their modes."""
        with self._reading:
            found = [(file, file.values()) for file in self._all_files()]
            known = len(self._places)
            for file, _ in found:
                file.place(self._places)
            if len(self._places) > known:
                self._families = _families({key: file.kind for file, _ in found for key in file.keys}, self._places)
            total = np.zeros(len(self._places))
            for file, values in found:
                total[file.places] += values
            counts = "".join(line for family in self._families for line in family.lines(total))
        return counts.encode() + self._gauges()

    def _all_files(self) -> Iterator["_File"]:
        for kind in ("counter", "histogram"):
            for path in sorted(self._folder.glob(f"{kind}_*.db")):
                yield self._files.setdefault(path, _File(path, kind))

    def _gauges(self) -> bytes:
        files = [str(path) for path in self._folder.glob("gauge_*.db")]
        registry = CollectorRegistry()
        registry.register(_Merged(MultiProcessCollector.merge(files)))  # type: ignore[no-untyped-call]  # it has no annotations
        return generate_latest(registry)


class _File:
    """A file of counters or histograms: its keys, read once, and their values, read each time."""

    def __init__(self, path: Path, kind: str) -> None:
        self.kind = kind
        self.keys: list[bytes] = []
        self.places: Places = np.empty(0, np.intp)
        self._path = path
        self._end = _HEADER
        self._doubles: list[int] = []

    def values(self) -> Numbers:
        """Return the values of all keys that the file has now."""
        data = self._path.read_bytes()
        (used,) = struct.unpack_from("i", data)
        while self._end < used:
            (length,) = struct.unpack_from("i", data, self._end)
            start = self._end + 4
            value = start + length + (8 - (length + 4) % 8)
            self.keys.append(data[start : start + length])
            self._doubles.append(value // 8)
            self._end = value + 16
        return np.frombuffer(data, np.float64, len(data) // 8)[self._doubles]

    def place(self, places: dict[bytes, int]) -> None:
        """Give each new key its place among all keys."""
        if len(self.places) < len(self.keys):
            self.places = np.array([places.setdefault(key, len(places)) for key in self.keys], np.intp)


@dataclass
class _Series:
    """Lines without their values, and the places of these."""

    prefixes: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, name: str, labels: str, place: int) -> None:
        self.prefixes.append(f"{name}{{{labels}}} " if labels else f"{name} ")
        self.places.append(place)

    def lines(self, values: Numbers) -> str:
        return "".join(f"{prefix}{value!r}\n" for prefix, value in zip(self.prefixes, values.tolist(), strict=True))


@dataclass
class _Family:
    """The series of one metric. The buckets of a histogram are those of one child after another, in ascending order."""

    header: str
    plain: _Series = field(default_factory=_Series)
    buckets: _Series = field(default_factory=_Series)
    counts: _Series = field(default_factory=_Series)
    """The counts of a histogram; the place of each is that of its last bucket among the buckets."""
    firsts: list[int] = field(default_factory=list)
    """The first bucket of each child, among the buckets."""

    def lines(self, total: Numbers) -> Iterator[str]:
        yield self.header
        yield self.plain.lines(total[self.plain.places])
        if self.firsts:
            alone = total[self.buckets.places]
            upto = np.cumsum(alone)
            lengths = np.diff([*self.firsts, len(alone)])
            summed = upto - np.repeat(upto[self.firsts] - alone[self.firsts], lengths)
            yield self.buckets.lines(summed)
            yield self.counts.lines(summed[self.counts.places])


def _families(kinds: Mapping[bytes, str], places: Mapping[bytes, int]) -> list[_Family]:
    families: dict[str, _Family] = {}
    children: defaultdict[tuple[str, str], list[tuple[float, str, int]]] = defaultdict(list)
    for key, kind in kinds.items():
        metric, name, labels, documentation = orjson.loads(key)
        if metric not in families:
            told = f"{metric}_total" if kind == "counter" else metric
            families[metric] = _Family(f"# HELP {told} {_escaped(documentation)}\n# TYPE {told} {kind}\n")
        bound = labels.pop("le", None)
        if bound is None:
            families[metric].plain.add(name, _labels(labels), places[key])
        else:
            children[metric, _labels(labels)].append((float(bound), bound, places[key]))
    for (metric, labels), buckets in children.items():
        family = families[metric]
        family.firsts.append(len(family.buckets.places))
        for _, bound, place in sorted(buckets):
            family.buckets.add(f"{metric}_bucket", f'{labels}{"," if labels else ""}le="{bound}"', place)
        family.counts.add(f"{metric}_count", labels, len(family.buckets.places) - 1)
    return list(families.values())


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels.items())


def _escaped(text: str, *, quoted: bool = False) -> str:
    r"""Return text as the exposition format has it.

    >>> print(_escaped('a\\b"c"', quoted=True))
    a\\b\"c\"
    """
    plain = text.replace("\\", r"\\").replace("\n", r"\n")
    return plain.replace('"', r"\"") if quoted else plain


class _Merged:
    """Metrics that are merged already, as a registry wants them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
