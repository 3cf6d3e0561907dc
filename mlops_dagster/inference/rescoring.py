"""Labels by a version for rows of the log: scored together, and a row it fails on does not affect the others."""

from typing import TYPE_CHECKING

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference.logged import column_of
from mlops_dagster.inference.scorer import Scorer
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Rescorer:
    """A loaded version that scores logged rows.

    Raises ModelFailedError for a version without a schema, and all that `registry.load` raises.
    """

    def __init__(self, registry: ModelRegistry, version: ModelVersion) -> None:
        if version.schema is None:
            raise ModelFailedError(f"{version.model} {version.version} was registered without a schema: not comparable")
        self.version = version.version
        self.schema: ModelSchema = version.schema
        self._scorer = Scorer(version.version, version.schema, registry.load(version))

    def labels(self, rows: "pa.Table") -> list[str | None]:
        """Return the label of each row; None if the version fails on the row, or its schema refuses it."""
        import numpy as np

        frame = _logged_frame(rows, self.schema)
        required = [feature.name for feature in self.schema.features if not feature.nullable]
        accepted = frame[required].notna().all(axis=1).to_numpy()
        labels = np.full(len(frame), None, dtype=np.object_)
        labels[accepted] = self._scorer.score_each(frame[accepted]).labels
        found: list[str | None] = labels.tolist()
        return found


def _logged_frame(rows: "pa.Table", schema: ModelSchema) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({feature.name: column_of(rows, feature) for feature in schema.features})
