"""A project with two models: one whose rollouts are watched, and one whose first retraining never ends."""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.registry import ModelVersion
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import PROJECT
from tests.support.serving.data_plane import CARD, SCHEMA, make_baseline, make_frame

WATCHED, RETRAINED = "live", "weekly"
FILES = {
    "live/defs/resources.py": (
        "import dagster as dg\n"
        "from mlops_dagster.defs import resources\n"
        "shared = dg.Definitions(resources=resources.shared.resources)\n"
    ),
    # The first time it says which process it is, and never ends.
    "live/trainer.py": """\
import os, time
from pathlib import Path
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.support.serving.data_plane import SCHEMA, make_frame

def training_set(start, end):
    victim = Path(os.environ["MLOPS_HOME"]) / "victim"
    if not victim.exists():
        victim.with_suffix(".tmp").write_text(str(os.getpid()))
        victim.with_suffix(".tmp").rename(victim)
        time.sleep(3600)
    frame = pd.concat([make_frame(SCHEMA)] * 3, ignore_index=True)
    late = np.where(frame["delay"] > 15, "late", "on_time")
    return frame.assign(label=late, event_time=[start + (end - start) / len(frame) * n for n in range(len(frame))])

def estimator():
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough")
    return make_pipeline(encode, LogisticRegression(max_iter=1000))
""",
    "live/defs/weekly/defs.yaml": PROJECT["live/defs/model/defs.yaml"]
    .replace("model: live", f"model: {RETRAINED}")
    .replace("live.definitions", "live.trainer")
    .replace("cadence: null", "cadence: weekly"),
}
"""What `dagster_dev` is given beside its PROJECT, which has the model WATCHED."""


def register(stores: Stores, model: str, version: str, *, unknown: str) -> ModelVersion:
    """Register a regression that ignores a carrier it was not fitted on, or raises for it ("error")."""
    frame = make_frame(SCHEMA)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown=unknown), ["carrier"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression(max_iter=1000))
    estimator.fit(frame, np.where(frame["delay"] > 15, "late", "on_time"))
    return stores.registry.register(model, estimator, version, schema=SCHEMA, card=CARD, baseline=make_baseline(SCHEMA))
