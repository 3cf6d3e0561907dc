"""One definition of label, score and probabilities: the estimator's own, whatever made it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference import Scorer, features_frame
from mlops_dagster.registry import estimators
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.plane.batching import score_together
from mlops_dagster.tasks.classification.structure import _ARGMAX, predicts_most_probable
from tests.support.inference import cases
from tests.support.inference.cases import NUMBERS, THREE, Margins, fitted, labels, registrable, rows, threshold_onnx

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
FEW = settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for one another, for long where other tests use the cores."""
    with threadpool_limits(1):
        yield


def answer_of(estimator: object, row: pd.DataFrame) -> tuple[str, dict[str, float]] | None:
    """The reference: `predict` and `predict_proba` of one row; None where it raises, or gives no probabilities."""
    try:
        label, found = estimator.predict(row)[0], estimator.predict_proba(row)[0]  # type: ignore[attr-defined]
    except Exception:
        return None
    if not (np.isfinite(found).all() and abs(found.sum() - 1) < 0.01 and found.min() >= 0):
        return None
    classes = map(str, estimator.classes_)  # type: ignore[attr-defined]
    return str(label), dict(zip(classes, found.tolist(), strict=True))


@pytest.mark.parametrize("name", cases.NAMES)
@FEW
@given(st.integers(0, 10_000))
def test_every_estimator_that_can_be_registered_is_asked_alike_by_all(name: str, seed: int) -> None:
    schema, loaded = registrable()[name].schema, estimators.load(registrable()[name].file)
    frame = rows(8, seed, odd=True)
    expected = [answer_of(loaded, features_frame(schema, frame.iloc[[place]])) for place in range(len(frame))]
    scorer, served = Scorer("1.0.0", schema, loaded), LoadedModel("1.0.0", schema, loaded)
    nulls = frame.astype(object).where(frame.notna(), None)  # as JSON and the log have them
    for given_as in (frame, nulls):
        assert scorer.score_each(given_as).labels == [each and each[0] for each in expected]
    requests = [{each: [nulls[each][place]] for each in schema.names} for place in range(len(frame))]
    for known, answer in zip(expected, score_together(served, requests), strict=True):
        if known is None:
            assert isinstance(answer, ModelFailedError)
            continue
        label, probabilities = known
        assert not isinstance(answer, ModelFailedError), answer
        assert answer.labels == [label]
        wanted = [probabilities[each] for each in schema.task.truths]
        np.testing.assert_allclose(answer.tensors["probabilities"][0], wanted, atol=1e-6)
        asked = schema.task.truths[-1] if len(schema.task.truths) == 2 else label
        assert answer.scores == pytest.approx([probabilities[asked]], abs=1e-6)


def test_no_case_is_lost_without_a_word() -> None:
    assert set(registrable()) == set(cases.NAMES)


def test_where_predict_is_not_asked_for_it_says_the_same() -> None:
    frame = rows(1000, 5)
    frame["delay"] = (frame["delay"] * 2).round() / 2  # few different rows, and ties among those of trees
    known = {name: each for name, each in fitted().items() if predicts_most_probable(each[0])}
    assert len(known) > 40
    for name, (model, schema) in known.items():
        expected = model.predict(features_frame(schema, frame)).tolist()
        assert Scorer("1.0.0", schema, model).score(frame).labels == expected, name


def test_every_class_that_is_known_to_say_the_most_probable_is_among_the_cases() -> None:
    finals = [model[-1] if hasattr(model, "steps") else model for model, _ in fitted().values()]
    assert {f"{type(each).__module__}.{type(each).__qualname__}" for each in finals} >= _ARGMAX
    for name, (model, _) in fitted().items():
        assert not (predicts_most_probable(model) and any(its in name for its in ("Threshold", "Centroid", "SVC"))), (
            name
        )


def test_only_exact_classes_are_known() -> None:
    class Cautious(LogisticRegression):
        def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:  # noqa: N803  # scikit-learn's name
            return np.where(self.predict_proba(X)[:, 0] > 0.1, *self.classes_)

    frame = rows(300, 3)
    numbers, truth = frame[["delay", "distance"]].fillna(0), labels(frame, NUMBERS)
    known = LogisticRegression().fit(numbers, truth)
    assert predicts_most_probable(known)
    assert predicts_most_probable(make_pipeline(known))
    assert not predicts_most_probable(make_pipeline("passthrough"))
    known.predict = lambda X: np.repeat("late", len(X))  # noqa: N803  # scikit-learn's name
    assert not predicts_most_probable(known)
    assert set(Scorer("1.0.0", NUMBERS, known).score(numbers).labels) == {"late"}
    cautious = Cautious().fit(numbers, truth)
    assert Scorer("1.0.0", NUMBERS, cautious).score(numbers).labels == cautious.predict(numbers).tolist()


def test_a_threshold_is_the_estimators_own() -> None:
    """Golden: late from a probability of 0.1 on. By the most probable class, four of five late ones were missed."""
    generator = np.random.default_rng(11)
    delay = generator.normal(0, 1, 4000)
    frame = pd.DataFrame({"delay": delay, "distance": generator.uniform(0, 1, 4000)})
    late = delay + generator.normal(0, 1, 4000) > 2
    threshold = FixedThresholdClassifier(LogisticRegression(), threshold=0.1, pos_label="late")
    scored = Scorer("1.0.0", NUMBERS, threshold.fit(frame, np.where(late, "late", "ok"))).score(frame)
    recall = np.mean(np.array(scored.labels)[late] == "late")
    by_argmax = np.mean(scored.tensors["probabilities"][late, 1] > 0.5)
    assert (round(float(recall), 3), round(float(by_argmax), 3)) == (0.717, 0.168)
    assert [label == "late" for label in scored.labels] == (scored.scores >= 0.1).tolist()


def test_scores_that_are_no_probabilities_are_refused_when_a_version_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(threshold_onnx(0.0, logits=True).SerializeToString())
    for estimator in (Margins(), estimators.load(tmp_path / "model.onnx")):
        with pytest.raises(ModelFailedError, match=r"gave row \d+ the scores \[-?[\d.]+, -?[\d.]+\]") as told:
            LoadedModel("1.0.0", NUMBERS, estimator).try_out()
        assert "not probabilities" in str(told.value)
        assert "with its softmax or sigmoid at the end" in str(told.value)


class Sometimes(Margins):
    """Probabilities, but for rows with a distance of 7: margins; of 8: a NaN; of 9: it raises."""

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        distance = X["distance"].to_numpy(dtype=np.float64)
        if (distance == 9).any():
            raise ValueError("nine")
        first = np.select([distance == 7, distance == 8], [2.0, np.nan], 0.25)
        return np.column_stack([first, np.where(distance == 7, 3.0, 0.75)])


def test_a_row_without_probabilities_fails_by_itself() -> None:
    model = LoadedModel("1.0.0", NUMBERS, Sometimes())
    model.try_out()  # none of the rows it is tried on is such a one
    found = score_together(model, [{"delay": [0.0], "distance": [float(each)]} for each in range(6, 11)])
    assert [isinstance(each, ModelFailedError) for each in found] == [False, True, True, True, False]
    assert "the scores [3, 2]" in str(found[1])
    assert "not all of them finite" in str(found[2])
    frame = pd.DataFrame({"delay": 0.0, "distance": np.arange(6.0, 11)})
    each = Scorer("1.0.0", NUMBERS, Sometimes()).score_each(frame)
    assert each.labels == ["ok", None, None, None, "ok"]
    np.testing.assert_array_equal(each.scores, [0.25, np.nan, np.nan, np.nan, 0.25])


def test_labels_that_are_no_class_fail() -> None:
    class Else(Margins):
        def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
            return np.full((len(X), 2), 0.5)

        def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:  # noqa: N803  # scikit-learn's name
            return np.repeat(np.array(["unheard"], dtype=object), len(X))

    with pytest.raises(ModelFailedError, match="gave row 0 a label that is none of its classes"):
        Scorer("1.0.0", NUMBERS, Else()).score({"delay": [1.0], "distance": [1.0]})


def test_an_estimator_that_lacks_a_class_can_be_judged_and_not_served() -> None:
    frame = rows(300, 4).fillna({"delay": 0.0})
    numbers = frame[["delay", "distance"]]
    wider = NUMBERS.model_copy(update={"task": THREE.task})
    line = LogisticRegression().fit(numbers, labels(frame, NUMBERS))
    found, raw = Scorer("in evaluation", wider, line, partial=True).score(numbers), line.predict_proba(numbers)
    assert found.labels == line.predict(numbers).tolist()
    np.testing.assert_array_equal(found.tensors["probabilities"], np.column_stack([raw[:, ::-1], np.zeros(300)]))
    np.testing.assert_array_equal(found.scores, raw.max(axis=1))
    with pytest.raises(ModelFailedError, match="tells"):
        Scorer("1.0.0", wider, line)


def test_many_rows_are_scored_in_pieces_and_a_bad_one_is_counted_from_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sure:
        """Gives no probabilities where x is under 0."""

        classes_ = ("ok", "late", "gone")

        def predict_proba(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
            asked.append(len(frame))
            late = frame["delay"].to_numpy()
            return np.column_stack([0.9 - late, late, np.full(len(frame), 0.1)])

        def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.str_]:
            return np.array(self.classes_)[self.predict_proba(frame).argmax(axis=1)]

    asked: list[int] = []
    frame = rows(11, 3).assign(delay=np.linspace(0, 0.8, 11))
    scorer = Scorer("1.0.0", THREE, Sure())
    whole = scorer.score(frame)
    monkeypatch.setattr(
        "mlops_dagster.tasks.classification.probabilities._PROBABILITIES_AT_ONCE", 4 * len(THREE.task.truths)
    )
    asked.clear()
    many = scorer.score_many(frame)
    assert max(asked) == 4
    assert (many.labels, many.scores.tolist()) == (whole.labels, whole.scores.tolist())
    assert scorer.score_each(frame).labels == whole.labels
    with pytest.raises(ModelFailedError, match="gave row 9 the scores"):
        scorer.score_many(frame.assign(delay=[0.5] * 9 + [-1, 0.5]))
