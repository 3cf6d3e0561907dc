"""Batch scores: files with the rows of a day, and files with these rows and a version's answers."""

import io
import itertools
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.inference import Scorer
from mlops_dagster.registry import ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.storage.files import Files
from mlops_dagster.storage.parquet import as_parquet

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ADDED = ("prediction", "score", "version", "digest")
"""The columns that are added to those of a row."""

_ROWS_AT_ONCE = 10_000


class BatchFiles:
    """The files of one model's batch for one day."""

    def __init__(self, files: Files, model: str, day: datetime) -> None:
        self._files = files
        self._rows = f"{model}/{in_utc(day):%Y-%m-%d}.input.parquet"
        self._scores = f"{model}/{in_utc(day):%Y-%m-%d}.parquet"

    def has_rows(self) -> bool:
        """Return whether there are rows to score: a batch is stored once it has passed its validation."""
        return self._files.has(self._rows)

    @property
    def link(self) -> str:
        """The place of the scores, as a link for people."""
        return self._files.link(self._scores)

    def keep(self, frame: "pd.DataFrame") -> None:
        """Store the rows to be scored, and remove the scores of earlier ones.

        Raises InvalidInputError for a column named in `ADDED`, and for values that Arrow cannot store, and
        StorageError.
        """
        taken = sorted(set(ADDED) & set(frame.columns))
        if taken:
            raise InvalidInputError(f"the batch has columns called {', '.join(taken)}: those are added to it")
        self.forget()
        self._files.put(self._rows, as_parquet(frame, row_group_size=_ROWS_AT_ONCE))

    def read(self) -> bytes:
        """Return the rows to be scored, as Parquet; raises ArtifactNotFoundError, StorageError."""
        return self._files.read(self._rows)

    def score(self, scored: bytes) -> None:
        """Store the scores, in place of earlier ones; raises StorageError."""
        self._files.put(self._scores, scored)

    def forget_scores(self) -> None:
        """Remove the scores; raises StorageError."""
        self._files.remove(self._scores)

    def forget(self) -> None:
        """Remove rows and scores; raises StorageError."""
        self._files.remove(self._rows)
        self.forget_scores()


class Scored(NamedTuple):
    """The number of rows of a day, and the number of those without a prediction."""

    rows: int
    unscored: int


def score_batch(files: BatchFiles, version: ModelVersion, estimator: Estimator) -> Scored:
    """Score the rows of a day, some thousands at a time, and return their counts.

    A row has all its own columns, and `prediction`, `score`, `version` and `digest`: the answers are those of the data
    plane. A row with an infinite number that the version refuses has a null prediction and score. Scoring again
    replaces the file. Both files are in memory, compressed.

    Raises ModelFailedError, after which no file of scores exists, and StorageError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if version.schema is None:
        raise ModelFailedError(f"{version.model} {version.version} was registered without a schema and cannot score")
    scorer = Scorer(version.version, version.schema, estimator)
    files.forget_scores()
    written = io.BytesIO()
    with pq.ParquetFile(pa.BufferReader(files.read())) as source:
        batches = source.iter_batches(batch_size=_ROWS_AT_ONCE)
        first = _scored(next(batches), scorer, version)
        with pq.ParquetWriter(written, first.schema) as target:
            unscored = 0
            for table in itertools.chain([first], (_scored(batch, scorer, version) for batch in batches)):
                target.write_table(table)
                unscored += table["prediction"].null_count
        files.score(written.getvalue())
        return Scored(int(source.metadata.num_rows), unscored)


def _scored(batch: "pa.RecordBatch", scorer: Scorer, version: ModelVersion) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    frame = batch.select(list(scorer.schema.names)).to_pandas()
    numeric = [feature.name for feature in scorer.schema.features if feature.kind == "numeric"]
    infinite = np.isinf(frame[numeric].to_numpy(dtype=np.float64)).any(axis=1)
    labels = np.full(len(frame), None, dtype=np.object_)
    scores = np.full(len(frame), np.nan)
    if not infinite.all():
        sound = scorer.score(frame[~infinite])
        labels[~infinite], scores[~infinite] = sound.labels, sound.scores
    if infinite.any():
        labels[infinite], scores[infinite] = scorer.score_each(frame[infinite])
    added = (
        pa.array(labels, pa.string()),
        pa.array(scores, pa.float64(), from_pandas=True),
        pa.array([version.version] * batch.num_rows),
        pa.array([version.digest] * batch.num_rows),
    )
    table = pa.Table.from_batches([batch])
    for name, values in zip(ADDED, added, strict=True):
        table = table.append_column(name, values)
    return table
