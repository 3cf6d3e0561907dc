"""The guard: checks the rows of a request against the training data of a version."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from mlops_dagster.inference.usual_values import known_categories, usual_range
from mlops_dagster.registry import Baseline
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.protocol.inputs import Column
from mlops_dagster.serving.protocol.tensors import Value, shown

Reason: TypeAlias = Literal["range", "category"]

REASONS: Final[Mapping[str, Reason]] = {"numeric": "range", "categorical": "category"}
"""The reason of a violation, by the kind of its feature."""


class Violation(NamedTuple):
    """A feature with values unlike the training data: the number of `rows`, the first such `row`, and its `value`."""

    feature: str
    reason: Reason
    rows: int
    row: int
    value: Value
    expected: str

    def __str__(self) -> str:
        more = f" (and {self.rows - 1} rows more)" if self.rows > 1 else ""
        return f"feature {self.feature!r} of row {self.row} is {shown(self.value)}{more}, not {self.expected}"


class Guard:
    """The allowed values of each feature; types and nulls are checked by the schema before.

    A numeric range is that of the baseline's bins, widened by `stretch` widths on both sides; a version without a
    baseline takes every finite number. Categories are checked where the baseline names all those in the training data.

    >>> from mlops_dagster.schema import Feature
    >>> from mlops_dagster.tasks import Classification
    >>> hour = Feature(name="hour", kind="numeric")
    >>> schema = ModelSchema(features=(hour,), task=Classification(classes=("on_time", "late")))
    >>> [str(each) for each in Guard(schema, None, 2.0).violations({"hour": Column("FP64", [7.0, float("inf")])})]
    ["feature 'hour' of row 1 is inf, not -1.79769e+308 to 1.79769e+308"]
    """

    def __init__(self, schema: ModelSchema, baseline: Baseline | None, stretch: float) -> None:
        self.stretch = stretch
        references = {} if baseline is None else baseline.features
        found = [(feature, references.get(feature.name)) for feature in schema.features]
        self._ranges = [(f.name, *usual_range(its, stretch)) for f, its in found if f.kind == "numeric"]
        sets = [(f.name, known_categories(its)) for f, its in found if f.kind == "categorical"]
        self._categories = [(name, known) for name, known in sets if known is not None]

    def violations(self, inputs: Mapping[str, Column]) -> list[Violation]:
        """Return the violations, at most one a feature; skip inputs that are missing, null or of another type."""
        # Loops over lists: under a microsecond a row, where numpy takes ten to begin with.
        found: list[Violation] = []
        for name, low, high in self._ranges:
            values = inputs[name].values if name in inputs else ()
            for value in values:
                if isinstance(value, float) and not low <= value <= high:
                    found.append(_outside(name, values, low, high))
                    break
        for name, known in self._categories:
            values = inputs[name].values if name in inputs else ()
            for value in values:
                if isinstance(value, str) and value not in known:
                    found.append(_unknown(name, values, known))
                    break
        return found


def _outside(name: str, values: Sequence[Value], low: float, high: float) -> Violation:
    rows = [row for row, value in enumerate(values) if isinstance(value, float) and not low <= value <= high]
    return Violation(name, "range", len(rows), rows[0], values[rows[0]], f"{low:g} to {high:g}")


def _unknown(name: str, values: Sequence[Value], known: frozenset[str]) -> Violation:
    rows = [row for row, value in enumerate(values) if isinstance(value, str) and value not in known]
    some = ", ".join(sorted(known)[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return Violation(name, "category", len(rows), rows[0], values[rows[0]], f"one of {some}")
