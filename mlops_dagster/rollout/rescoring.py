"""What a version says of rows of the log: many at once, and each it fails on by itself."""

from typing import TYPE_CHECKING

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import Feature, ModelSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa


class Rescorer:
    """A version in memory. Raises ModelFailedError for one without a schema, and what `registry.load` raises."""

    def __init__(self, registry: ModelRegistry, version: ModelVersion) -> None:
        if version.schema is None:
            raise ModelFailedError(f"{version.model} {version.version} was registered without a schema: not comparable")
        self.version = version.version
        self.schema: ModelSchema = version.schema
        self._estimator: Estimator = registry.load(version)
        self._classes = [str(label) for label in self._estimator.classes_]

    def labels(self, rows: "pa.Table") -> list[str | None]:
        """What it predicts for each row; None where it fails, or its schema refuses the row."""
        import numpy as np

        frame = frame_of(rows, self.schema)
        required = [feature.name for feature in self.schema.features if not feature.nullable]
        accepted = frame[required].notna().all(axis=1).to_numpy()
        labels = np.full(len(frame), None, dtype=np.object_)
        labels[accepted] = self._predict(frame[accepted])
        found: list[str | None] = labels.tolist()
        return found

    def _predict(self, frame: "pd.DataFrame") -> list[str | None]:
        """Of a batch that fails, halves are tried until the bad row stands alone, as in serving."""
        import numpy as np

        if frame.empty:
            return []
        try:
            probabilities = np.asarray(self._estimator.predict_proba(frame), dtype=np.float64)
        except Exception:  # of whatever kind: it is the version's failure, and counts against it
            if len(frame) == 1:
                return [None]
            middle = len(frame) // 2
            return self._predict(frame[:middle]) + self._predict(frame[middle:])
        if probabilities.shape != (len(frame), len(self._classes)):
            return [None] * len(frame)
        sound = np.isfinite(probabilities).min(axis=1)
        best = probabilities.argmax(axis=1)
        return [
            self._classes[index] if is_sound else None
            for index, is_sound in zip(best.tolist(), sound.tolist(), strict=True)
        ]


def frame_of(rows: "pa.Table", schema: ModelSchema) -> "pd.DataFrame":
    """Rows of the log as estimators take them: one column per feature, float64 or object, null where not known."""
    import pandas as pd

    return pd.DataFrame({feature.name: column_of(rows, feature) for feature in schema.features})


def column_of(rows: "pa.Table", feature: Feature) -> "npt.NDArray[np.float64] | npt.NDArray[np.object_]":
    """One feature; its column in the log depends on the kind that the log saw first under this name."""
    import numpy as np
    import pyarrow as pa

    kind, suffix = (pa.float64(), "__number") if feature.kind == "numeric" else (pa.string(), "__text")
    for name in (f"feature_{feature.name}", f"feature_{feature.name}{suffix}"):
        if name in rows.schema.names and rows.schema.field(name).type == kind:
            column: npt.NDArray[np.float64] | npt.NDArray[np.object_] = rows[name].to_numpy()
            return column
    if feature.kind == "numeric":
        return np.full(rows.num_rows, np.nan)
    return np.full(rows.num_rows, None, dtype=np.object_)
