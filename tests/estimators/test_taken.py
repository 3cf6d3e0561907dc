"""Every classifier is taken and answers as the fitted one does, or is refused before it is fitted, with the way."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from bench.estimators_table import HEAD, SCHEMA, cases, refusal, rows
from mlops_dagster.errors import InvalidInputError, ModelFailedError, UnsafeArtifactError
from mlops_dagster.registry import ModelRegistry, estimators
from mlops_dagster.registry.estimators.skops_file import untrusted_types
from mlops_dagster.retraining.candidate import fit_candidate
from mlops_dagster.retraining.fitting import AGREES_TO, fit, saved
from mlops_dagster.settings import Settings
from tests.support import own
from tests.support.two_versions import MARCH

pytestmark = pytest.mark.slow

CASES = cases()
PAGE = Path("docs/reference/estimators.md")
COLUMNS = list(SCHEMA.names)
REFUSED = {
    "ClassifierChain", "LinearSVC", "MultiOutputClassifier", "NuSVC", "OneVsOneClassifier", "OutputCodeClassifier",
    "PassiveAggressiveClassifier", "Perceptron", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "SVC",
    "VotingClassifier",
}  # fmt: skip
CLIP = "tests.support.own.Clip"


def trainer_of(estimator: Any) -> Any:
    return SimpleNamespace(SCHEMA=SCHEMA, estimator=lambda: clone(estimator))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other make small fits slow where other tests run."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    home = tmp_path_factory.mktemp("home")
    return ModelRegistry(settings=Settings(home=home, trusted_types=f"{CLIP}, tests.support.own.root"))


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_it_is_taken_and_answers_the_same_once_it_is_loaded(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few iterations
        fitted = fit(trainer_of(CASES[name]), rows(150), ())
        (tmp_path / "model").write_bytes(saved(fitted, SCHEMA, rows(150), ()))
        loaded: Any = estimators.load(tmp_path / "model")
    unseen = rows(100, seed=1)[COLUMNS]
    before: Any = fitted.estimator
    assert set(loaded.classes_) == set(SCHEMA.task.truths)
    np.testing.assert_allclose(loaded.predict_proba(unseen), before.predict_proba(unseen), atol=AGREES_TO)
    assert np.ravel(loaded.predict(unseen)).tolist() == np.ravel(before.predict(unseen)).tolist()


def test_transformers_are_taken() -> None:
    """All of scikit-learn's that take such rows by default, but splines, whose bounds nothing checks, and clusters."""
    taken, refused = set(), set()
    frame = rows(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in all_estimators(type_filter="transformer"):
            try:
                step = kind()
                if "max_iter" in step.get_params():
                    step.set_params(max_iter=5)  # it has the same types, however well it fits
                step.fit(frame[COLUMNS], frame["label"])
            except (TypeError, ValueError, AttributeError):  # it takes texts, one column, or needs a choice
                continue
            try:
                (refused if untrusted_types(step) else taken).add(name)
            except InvalidInputError:  # skops cannot write it
                refused.add(name)
    assert refused == {"Birch", "BisectingKMeans", "SplineTransformer"}
    assert len(taken) > 45


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_gives_no_probabilities_is_refused_before_it_is_fitted(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name} .*; (wrap it|use|choose|fit and register)"):
        fit(trainer_of(CASES[name]), pd.DataFrame(columns=[*COLUMNS, "label"]), ())


def test_the_page_says_what_is_taken() -> None:
    text = PAGE.read_text()
    lines = text[text.index(HEAD[0]) :].partition("\n\n")[0].splitlines()[2:]
    said = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in lines)}
    whys = {name: refusal(estimator) for name, estimator in CASES.items()}
    assert said == {name: "yes" if why is None else f"no: {why.partition('; ')[2]}" for name, why in whys.items()}


@pytest.mark.parametrize("name", ["CatBoostClassifier", "LGBMClassifier", "XGBClassifier"])
def test_it_passes_its_trial(registry: ModelRegistry, name: str) -> None:
    fitted: Any = fit(trainer_of(CASES[name]), rows(150), ()).estimator
    version = registry.register(name.lower(), fitted, schema=SCHEMA)
    unseen = rows(100, seed=1)[COLUMNS]
    found = registry.load(version).predict_proba(unseen)
    np.testing.assert_allclose(found, fitted.predict_proba(unseen), atol=AGREES_TO)


@pytest.mark.parametrize(
    ("artifact", "match"),
    [
        (None, "an object of type NoneType is not an estimator"),
        ({"a": 1}, "an object of type dict is not an estimator"),
        (b"bytes", "an object of type bytes is not an estimator"),
        ("", "an empty path"),
        (LogisticRegression, "is a class, not an estimator"),
        (LogisticRegression(), "LogisticRegression is not fitted"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "Pipeline of LogisticRegression is not fitted"),
        (CASES["LGBMClassifier"], "LGBMClassifier is not fitted"),
        (CASES["CatBoostClassifier"], "CatBoostClassifier is not fitted"),
        (LinearRegression(), "LinearRegression is not a classifier"),
        (make_pipeline(StandardScaler(), Perceptron()), r"Perceptron has no predict_proba.*Calibrated.*\(Perceptron\("),
    ],
    ids=str,
)
def test_what_is_no_fitted_classifier_is_not_registered(registry: ModelRegistry, artifact: Any, match: str) -> None:
    known = registry.models()
    with pytest.raises(InvalidInputError, match=match):
        registry.register("nothing", artifact)
    assert registry.models() == known


def test_own_types_are_named_before_the_fit_and_taken_once_they_are_listed(registry: ModelRegistry) -> None:
    pipeline = make_pipeline(FunctionTransformer(own.root), own.Clip(), LogisticRegression())
    types = f"{CLIP},tests.support.own.root"
    with pytest.raises(UnsafeArtifactError, match=f"^Pipeline holds types .*set MLOPS_TRUSTED_TYPES={types} "):
        fit(trainer_of(pipeline), pd.DataFrame(columns=[*COLUMNS, "label"]), ())
    fitted: Any = fit(trainer_of(pipeline), rows(150), types.split(",")).estimator
    version = registry.register("own", fitted, schema=SCHEMA)  # its trial is in another process
    unseen = rows(100, seed=1)[COLUMNS]
    np.testing.assert_array_equal(registry.load(version).predict_proba(unseen), fitted.predict_proba(unseen))

    elsewhere = ModelRegistry(settings=Settings(home=registry._settings.home))
    with pytest.raises(UnsafeArtifactError, match=f"MLOPS_TRUSTED_TYPES={types} "):
        elsewhere.load(version)


def test_a_function_without_a_name_is_refused_with_the_way() -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda values: values), LogisticRegression())
    with pytest.raises(UnsafeArtifactError, match=r"<lambda> cannot be found again .* define it by a name"):
        fit(trainer_of(pipeline), rows(150), ())


@pytest.mark.parametrize("listed", ["os", "a b.c", "x.y;z.w"])
def test_a_list_of_types_is_one_of_dotted_names(listed: str) -> None:
    with pytest.raises(ValueError, match="is not a dotted name of a type"):
        Settings(trusted_types=listed)


def test_an_estimator_that_a_file_does_not_hold_whole_makes_no_candidate() -> None:
    types = ("tests.support.own.Forgetful",)
    fitted = fit(trainer_of(make_pipeline(own.Forgetful(), LogisticRegression())), rows(150), types)
    with pytest.raises(ModelFailedError, match="answers otherwise once it is saved and loaded again"):
        saved(fitted, SCHEMA, rows(150), types)


@pytest.mark.parametrize("kind", ["skops", "onnx"])
def test_a_trainer_may_give_a_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"model.{kind}"

    def fit_to_file(features: pd.DataFrame, labels: "pd.Series[str]") -> Path:
        model = LogisticRegression().fit(features, labels)
        if kind == "skops":
            return estimators.save(model, file)
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        file.write_bytes(to_onnx(model, initial_types=[("rows", FloatTensorType([None, 5]))]).SerializeToString())
        return file

    frame = rows(400)
    frame["event_time"] = pd.date_range(MARCH, periods=400, freq="h")
    trainer: Any = SimpleNamespace(SCHEMA=SCHEMA, fit=fit_to_file)
    found = fit_candidate(
        trainer, frame, dataset="", evaluate_from=frame["event_time"][200].to_pydatetime(), fairness_attributes=()
    )
    assert found.artifact == file.read_bytes()
    assert 0.7 < found.metrics["accuracy"] < 1.0


def test_a_path_that_leads_nowhere_says_what_is_wanted() -> None:
    trainer: Any = SimpleNamespace(SCHEMA=SCHEMA, fit=lambda _rows, _labels: "absent.onnx")
    with pytest.raises(InvalidInputError, match=r"'absent.onnx', which cannot be read .* one skops or ONNX file"):
        fit(trainer, rows(10), ())
    unfitted: Any = SimpleNamespace(SCHEMA=SCHEMA, fit=lambda _rows, _labels: DummyClassifier())
    with pytest.raises(InvalidInputError, match="DummyClassifier is not fitted"):
        fit(unfitted, rows(10), ())
