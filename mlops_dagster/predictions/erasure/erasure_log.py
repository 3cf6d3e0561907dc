"""The permanent record of erasures from the log: number of rows, their numbers, actor and reason; never the data."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.intervals import IntervalSet, Numbers
from mlops_dagster.predictions.log.names import ERASURES_TABLE
from mlops_dagster.predictions.records import ANSWERED

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_dagster.predictions.log.log import PredictionLog

Chosen = Literal["keys", "ids", "days"]
Source: TypeAlias = tuple[str, str]
"""(model, process): a process that answered for the model and numbers its rows of it from 1."""


@dataclass(slots=True)
class Held:
    """Sequence numbers of one process and model in one place: those of answers, and those of paired and shadow rows."""

    answers: IntervalSet = field(default_factory=IntervalSet)
    others: IntervalSet = field(default_factory=IntervalSet)
    rows: int = 0  # greater than the number of distinct numbers if a row is there twice

    @property
    def all(self) -> IntervalSet:
        return self.answers | self.others

    def add(self, numbers: Sequence[int] | Numbers, *, is_answer: bool) -> None:
        self.rows += len(numbers)
        if is_answer:
            self.answers |= IntervalSet.of(numbers)
        else:
            self.others |= IntervalSet.of(numbers)


def gather(held: defaultdict[str, Held], rows: "pa.RecordBatch") -> None:
    """Add rows, of which the columns process, sequence and role are read, to the numbers held of their processes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    process = rows["process"].dictionary_encode()
    codes, numbers = process.indices.to_numpy(), rows["sequence"].to_numpy()
    answered = pc.is_in(rows["role"], pa.array(ANSWERED)).to_numpy(zero_copy_only=False)
    for code, name in enumerate(process.dictionary.to_pylist()):
        own = codes == code
        for is_answer in np.unique(answered[own]).tolist():
            held[name].add(numbers[own & (answered == is_answer)], is_answer=is_answer)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One row of the record: an erasure that was begun, or one that was done."""

    erasure: str
    step: Literal["begun", "done"]
    model: str
    at: datetime
    actor: str
    reason: str
    what: Chosen
    rows: int


@dataclass(frozen=True, slots=True)
class Erasures:
    """The whole record of erasures."""

    steps: tuple[Erasure, ...]
    numbers: Mapping[str, Mapping[str, IntervalSet]]
    """The numbers that each erasure noted, by process."""
    by_source: defaultdict[Source, Held]
    """The numbers of all erasures, by (model, process)."""

    @classmethod
    def read(cls, log: "PredictionLog") -> "Erasures":
        from mlops_dagster.predictions.log import columns
        from mlops_dagster.predictions.log.delta import tables as delta
        from mlops_dagster.predictions.log.delta.errors import storage_errors

        at = log.place.table(ERASURES_TABLE)
        with storage_errors("read", at):
            rows = (
                delta.dataset(at, columns.ERASURES)
                .to_table()
                .sort_by([("at", "ascending"), ("step", "ascending")])
                .to_pylist()
            )
        steps: dict[tuple[str, str], Erasure] = {}
        numbers: defaultdict[str, defaultdict[str, IntervalSet]] = defaultdict(lambda: defaultdict(IntervalSet))
        by_source: defaultdict[Source, Held] = defaultdict(Held)
        for row in rows:
            steps[row["erasure"], row["step"]] = Erasure(*(row[name] for name in Erasure.__slots__))
            if row["process"] is not None:
                held = by_source[row["model"], row["process"]]
                answers, others = _runs(row["answers"]), _runs(row["others"])
                held.answers |= answers
                held.others |= others
                numbers[row["erasure"]][row["process"]] |= answers | others
        return cls(tuple(steps.values()), numbers, by_source)

    def begun(self) -> set[str]:
        """Return the models whose last erasure was begun and not done."""
        return {model for model, step in {each.model: each.step for each in self.steps}.items() if step == "begun"}

    def unfinished(self, logged: Mapping[Source, IntervalSet]) -> list[str]:
        """Describe the erasures begun and neither done nor made up for by a later one; some may be under way."""
        finished = {step.erasure for step in self.steps if step.step == "done"}
        last = {step.model: step.at for step in self.steps if step.step == "done"}

        def made_up_for(step: Erasure) -> bool:
            numbers = self.numbers[step.erasure]
            left = (runs & logged.get((step.model, process), IntervalSet()) for process, runs in numbers.items())
            return step.model in last and last[step.model] >= step.at and not any(map(len, left))

        return [
            f"an erasure from {step.model} by {step.actor} at {step.at:%Y-%m-%d %H:%M} did not finish: run it again"
            for step in self.steps
            if step.step == "begun" and step.erasure not in finished and not made_up_for(step)
        ]


def note(log: "PredictionLog", step: Erasure, held: Mapping[str, Held]) -> None:
    """Append one step of an erasure to the record, with a row for each process; raises StorageError."""
    import pyarrow as pa

    from mlops_dagster.predictions.log import columns
    from mlops_dagster.predictions.log.delta import tables as delta

    common = {name: getattr(step, name) for name in Erasure.__slots__} | {"date": step.at.date()}
    lines = [
        {**common, "process": process, "answers": _pairs(numbers.answers), "others": _pairs(numbers.others)}
        for process, numbers in held.items()
    ]
    rows = pa.Table.from_pylist(lines or [common], schema=columns.ERASURES)
    at = log.place.table(ERASURES_TABLE)
    if not delta.append(at, delta.open_or_create(at, columns.ERASURES), rows, {}):
        raise StorageError(f"the record of erasures at {at.uri} cannot be written now; run the erasure again")


def _pairs(runs: IntervalSet) -> list[int]:
    return [number for run in runs for number in run]


def _runs(pairs: Sequence[int]) -> IntervalSet:
    return IntervalSet.from_pairs(zip(pairs[::2], pairs[1::2], strict=True))
