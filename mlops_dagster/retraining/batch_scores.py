"""Scores of a batch of rows, by one version, in files beside each other: what came in, and what was answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.registry import ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ADDED = ("prediction", "score", "version", "digest")
"""The columns that come beside those of a row."""

_ROWS_AT_ONCE = 10_000


class BatchFiles:
    """The batches of one model in a home, one for each day."""

    def __init__(self, home: Path, model: str, day: datetime) -> None:
        folder = home / "batch_scores" / model
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = folder / f"{in_utc(day):%Y-%m-%d}.input.parquet"
        """What is to be scored: there once it has passed its validation."""
        self.scores = folder / f"{in_utc(day):%Y-%m-%d}.parquet"

    def keep(self, frame: "pd.DataFrame") -> None:
        """The rows to be scored; scores of earlier ones are gone. Raises InvalidInputError for a column of ours."""
        taken = sorted(set(ADDED) & set(frame.columns))
        if taken:
            raise InvalidInputError(f"the batch has columns called {', '.join(taken)}: those are added to it")
        self.forget()
        with _whole(self.rows) as unfinished:
            frame.to_parquet(unfinished, index=False, row_group_size=_ROWS_AT_ONCE)

    def forget(self) -> None:
        """Neither rows nor scores."""
        self.rows.unlink(missing_ok=True)
        self.scores.unlink(missing_ok=True)


def score_batch(files: BatchFiles, version: ModelVersion, estimator: Estimator) -> int:
    """Score the rows of `files.rows` into `files.scores`, some thousands at a time; returns how many they are.

    A row has all columns it came with, and `prediction`, `score`, `version` and `digest`. Its score is that of the data
    plane. Scored again, the file is replaced. Raises ModelFailedError, and then there is no file of scores.
    """
    import pyarrow.parquet as pq

    schema = version.schema
    if schema is None:
        raise ModelFailedError(f"{version.model} {version.version} was registered without a schema and cannot score")
    files.scores.unlink(missing_ok=True)
    with pq.ParquetFile(files.rows) as source, _whole(files.scores) as unfinished:
        batches = source.iter_batches(batch_size=_ROWS_AT_ONCE)
        first = _scored(next(batches), version, schema, estimator)
        with pq.ParquetWriter(unfinished, first.schema) as target:
            target.write_table(first)
            for batch in batches:
                target.write_table(_scored(batch, version, schema, estimator))
        return int(source.metadata.num_rows)


def _scored(batch: "pa.RecordBatch", version: ModelVersion, schema: ModelSchema, estimator: Estimator) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    try:
        probabilities = np.asarray(estimator.predict_proba(_frame(batch, schema)), dtype=np.float64)
    except Exception as error:
        raise ModelFailedError(f"version {version.version} raised {type(error).__name__}: {error}") from error
    if probabilities.shape != (batch.num_rows, len(schema.classes)) or not np.isfinite(probabilities).all():
        raise ModelFailedError(
            f"version {version.version} returned {probabilities.shape} probabilities for {batch.num_rows} rows "
            f"of {len(schema.classes)} classes, or not all of them finite"
        )
    classes = [str(label) for label in estimator.classes_]
    score = probabilities[:, classes.index(schema.classes[-1])] if len(classes) == 2 else probabilities.max(axis=1)
    added = (
        pa.array([classes[index] for index in probabilities.argmax(axis=1)], pa.string()),
        pa.array(score),
        pa.array([version.version] * batch.num_rows),
        pa.array([version.digest] * batch.num_rows),
    )
    table = pa.Table.from_batches([batch])
    for name, values in zip(ADDED, added, strict=True):
        table = table.append_column(name, values)
    return table


def _frame(batch: "pa.RecordBatch", schema: ModelSchema) -> "pd.DataFrame":
    """As estimators are fitted on it: float64 or object, missing ones NaN or None."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame(
        {
            feature.name: np.array(batch.column(feature.name).to_pylist(), dtype=np.float64)
            if feature.kind == "numeric"
            else np.array(batch.column(feature.name).to_pylist(), dtype=np.object_)
            for feature in schema.features
        }
    )


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """A file to write to, which gets its name when it is complete."""
    unfinished = place.with_suffix(".part")
    try:
        yield unfinished
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
