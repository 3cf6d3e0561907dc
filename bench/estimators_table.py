"""What can be registered and come from a trainer, with its size and speed: the table of docs/reference/estimators.md.

`python -m bench.estimators_table` fits each on 2,000 rows of five numbers and prints it; the times depend on the
machine. tests/estimators holds each of `CASES` to what the table says is taken.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry import estimators
from mlops_dagster.retraining.fitting import fit, saved
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

SCHEMA: Final = ModelSchema(
    features=tuple(Feature(name=name, kind="numeric", nullable=False) for name in "abcde"),
    task=Classification(classes=("on_time", "late")),
)
AROUND_ONE: Final = (
    "FixedThresholdClassifier", "OneVsOneClassifier", "OneVsRestClassifier", "OutputCodeClassifier",
    "SelfTrainingClassifier", "TunedThresholdClassifierCV", "ClassifierChain", "MultiOutputClassifier",
)  # fmt: skip


def rows(number: int, seed: int = 0) -> pd.DataFrame:
    """Return labelled rows: whole numbers of at least 0, as every naive Bayes takes them."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({name: generator.integers(0, 12, number).astype(np.float64) for name in SCHEMA.names})
    noise = generator.normal(0, 2, number)
    frame["label"] = np.where(frame["a"] + frame["b"] + noise > 12, "late", "on_time").astype(object)
    return frame


def cases() -> dict[str, Any]:
    """Return one unfitted estimator by name of each kind: all of scikit-learn's classifiers, wrappers, boosters."""
    return {**_of_scikit_learn(), **_wrapped(), **_boosters()}


def _of_scikit_learn() -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import CategoricalNB, GaussianNB
    from sklearn.utils import all_estimators

    line = LogisticRegression()
    two = [("line", line), ("bayes", GaussianNB())]
    made: dict[str, Any] = {}
    for name, kind in all_estimators(type_filter="classifier"):
        if name in ("StackingClassifier", "VotingClassifier"):
            made[name] = kind(two)
        elif name == "RadiusNeighborsClassifier":
            made[name] = kind(radius=20.0)
        else:
            made[name] = kind(line) if name in AROUND_ONE else kind()
    return {**made, "CategoricalNB": CategoricalNB(min_categories=13)}


def _wrapped() -> dict[str, Any]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, VotingClassifier
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel
    from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler
    from sklearn.svm import SVC, LinearSVC

    line, forest = LogisticRegression(), RandomForestClassifier(10, random_state=0)
    return {
        "CalibratedClassifierCV(LinearSVC())": CalibratedClassifierCV(LinearSVC()),
        "CalibratedClassifierCV(SVC())": CalibratedClassifierCV(SVC()),
        "CalibratedClassifierCV(RidgeClassifier(), isotonic)": CalibratedClassifierCV(
            RidgeClassifier(), method="isotonic"
        ),
        'SGDClassifier(loss="log_loss")': SGDClassifier(loss="log_loss"),
        'VotingClassifier(voting="soft")': VotingClassifier([("line", line), ("bayes", GaussianNB())], voting="soft"),
        "GridSearchCV(RandomForestClassifier())": GridSearchCV(forest, {"max_depth": [2, None]}, cv=3),
        "RandomizedSearchCV(LogisticRegression())": RandomizedSearchCV(line, {"C": [0.1, 1.0, 10.0]}, n_iter=2),
        "OneVsRestClassifier(GradientBoostingClassifier())": OneVsRestClassifier(
            GradientBoostingClassifier(n_estimators=10)
        ),
        'KNeighborsClassifier(metric="manhattan")': KNeighborsClassifier(metric="manhattan", algorithm="ball_tree"),
        "GaussianProcessClassifier(Matern() + WhiteKernel())": GaussianProcessClassifier(
            Matern() + WhiteKernel(), optimizer=None
        ),
        'MLPClassifier(solver="sgd")': MLPClassifier(solver="sgd", max_iter=50),
        "Pipeline(StandardScaler, QuantileTransformer, LogisticRegression)": make_pipeline(
            StandardScaler(), QuantileTransformer(n_quantiles=50), line
        ),
    }


def _boosters() -> dict[str, Any]:
    from catboost import CatBoostClassifier
    from lightgbm import LGBMClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier, XGBRFClassifier

    quiet = CatBoostClassifier(iterations=100, verbose=0, allow_writing_files=False)
    return {
        "XGBClassifier": XGBClassifier(),
        "XGBRFClassifier": XGBRFClassifier(),
        "LGBMClassifier": LGBMClassifier(verbose=-1),
        "CatBoostClassifier": quiet,
        "Pipeline(StandardScaler, XGBClassifier)": make_pipeline(StandardScaler(), XGBClassifier(n_estimators=20)),
    }


def refusal(estimator: Any) -> str | None:
    """Return why an unfitted estimator is refused, with the way; None if it is taken."""
    try:
        estimators.check_unfitted(estimator, Classification)
    except InvalidInputError as error:
        return str(error)
    return None


def line(name: str, estimator: Any) -> str:
    """Return the line of the table about one estimator."""
    why = refusal(estimator)
    if why is not None:
        return f"| {name} | no: {why.partition('; ')[2]} | | | |"
    frame = rows(2000)
    trainer: Any = SimpleNamespace(SCHEMA=SCHEMA, estimator=lambda: estimator)
    content = saved(fit(trainer, frame, ()), SCHEMA, frame, ())
    with TemporaryDirectory() as folder:
        file = Path(folder, "model")
        file.write_bytes(content)
        loaded = estimators.load(file)
    one, many = frame[list(SCHEMA.names)][:1], frame[list(SCHEMA.names)][:1000]
    each = [_microseconds(lambda: loaded.predict_proba(one)), _microseconds(lambda: loaded.predict_proba(many)) / 1000]
    return f"| {name} | yes | {len(content) / 1000:,.0f} | {each[0]:,.0f} | {each[1]:,.1f} |"


def _microseconds(predict: Callable[[], object]) -> float:
    """Return the time of the quickest of some calls: what else runs on the machine only adds to it."""
    taken = []
    with threadpool_limits(1):
        for _ in range(20):
            started = time.perf_counter()
            predict()
            taken.append(time.perf_counter() - started)
    return min(taken) * 1e6


HEAD: Final = (
    "| estimator | taken | kB | us for one row alone | us a row, 1,000 at once |",
    "|---|---|---|---|---|",
)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print(*HEAD, *(line(name, estimator) for name, estimator in cases().items()), sep="\n")


if __name__ == "__main__":
    main()
