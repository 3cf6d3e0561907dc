"""Small stores with real scikit-learn versions of one model, and served, logged and labelled traffic.

The features are `x`, uniform from -2 to 2, and `carrier`. A version says "late" where x is over its threshold, and so
does the world. One that knows only some carriers fails on the others.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.predictions import PredictionRecord, Role
from mlops_dagster.registry import Baseline, EvaluationSlice, ModelCard, ModelVersion, Provenance, Stage
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import Bins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification

MODEL = "flights"
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
CARRIERS = ("AA", "UA")
SCHEMA = ModelSchema(
    features=(
        Feature(name="x", kind="numeric", nullable=False),
        Feature(name="carrier", kind="categorical", nullable=False),
    ),
    task=Classification(classes=("ok", "late")),
)
SCORES = {"accuracy": 0.9, "micro_f1": 0.9, "macro_f1": 0.9}


def days(number: float) -> datetime:
    """So many days into March."""
    return MARCH + timedelta(days=number)


def house_at(home: Path, at: datetime) -> Stores:
    return Stores(Settings(home=home), ReplayedClock(at), actor="test")


def estimator(threshold: float, carriers: Sequence[str] = CARRIERS) -> Pipeline:
    """Fitted; says "late" where x is over the threshold, and raises for a carrier it does not know."""
    frame = pd.DataFrame({"x": 0.0, "carrier": np.array(carriers, dtype=object)})
    known = OneHotEncoder(categories=[list(carriers)], sparse_output=False)
    encode = make_column_transformer(("passthrough", ["x"]), (known, ["carrier"]))
    line = LogisticRegression()
    fitted = make_pipeline(encode, line).fit(frame, np.resize(["late", "ok"], len(carriers)))
    late = 1 if line.classes_[1] == "late" else -1
    line.coef_[:], line.coef_[0, 0], line.intercept_[:] = 0, 5 * late, -5 * late * threshold
    return fitted


def register(
    home: Path,
    version: str,
    model: Pipeline,
    *,
    trained_until: datetime,
    at: datetime,
    schema: ModelSchema = SCHEMA,
    baseline: Baseline | None = None,
    rows: int = 10,
    champion: bool = False,
) -> ModelVersion:
    """A version whose card names carrier=AA and carrier=UA, of `rows` rows each; `champion` puts it into production."""
    registry = house_at(home, at).registry
    card = ModelCard(
        provenance=Provenance(dataset="made up", digest="0", start=MARCH, end=trained_until, rows=100),
        evaluation=tuple(
            EvaluationSlice(name=name, rows=rows, metrics=SCORES) for name in ("overall", "carrier=AA", "carrier=UA")
        ),
    )
    found = registry.register(MODEL, model, version, schema=schema, card=card, baseline=baseline)
    if champion:
        registry.transition(found, Stage.PRODUCTION, force=True, reason="a test")
    return found


def serve(
    home: Path,
    start: datetime,
    rows: int,
    *,
    version: str = "1.0.0",
    role: Role = "champion",
    answers: float = 0.0,
    truth: float = 0.0,
    flipped: float = 0.0,
    labelled: bool = True,
    carriers: Sequence[str] = CARRIERS,
    hours: float = 24,
    moved: float = 0.0,
    bins: Mapping[str, Bins] | None = None,
) -> None:
    """Rows spread over some hours, answered with the threshold `answers`, with labels a minute later, and logged.

    A share of the labels is `flipped`: the world as nobody can tell it. `x` is logged `moved`, as by a broken sensor.
    Features are counted in `bins`.
    """
    generator = np.random.default_rng(int(start.timestamp()))
    stores = house_at(home, start)
    records, labels = [], []
    for number, x in enumerate(generator.uniform(-2, 2, rows)):
        at = start + timedelta(hours=hours) * (number / rows)
        name = f"{start:%m%d%H}-{number}"
        records.append(
            PredictionRecord(
                prediction_id=name, request=name, model=MODEL, version=version, role=role, weight=1.0, epoch=1,
                salt="", key=None,
                event_time=at, received_at=at, status="ok", error=None,
                features={"x": float(x) + moved, "carrier": carriers[number % len(carriers)]},
                prediction="late" if x > answers else "ok", score=0.5, latency_ms=1.0, process="test", row=0,
            )
        )  # fmt: skip
        late = bool(x > truth) != bool(number % 100 < 100 * flipped)
        labels.append((name, "late" if late else "ok", at + timedelta(minutes=1)))
    stores.spool.append(records)
    if labelled:
        stores.spool.feedback(labels, model=MODEL)
    stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    stores.log.ship(stores.spool)
