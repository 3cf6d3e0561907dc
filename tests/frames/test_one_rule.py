"""A class is the same class in a schema, an estimator, a card, a request's feedback and a table."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from mlops_dagster.errors import InvalidFeaturesError, InvalidInputError, ModelFailedError
from mlops_dagster.inference import Scorer
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.registry import evaluate
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import take_features
from mlops_dagster.serving.http.app import read_labels
from mlops_dagster.serving.protocol.infer import Column
from mlops_dagster.tasks import UNKNOWN_TASK, Classification

X = Feature(name="x", kind="numeric")


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ((0, 1), ("0", "1")),
        ((0.0, 1.0), ("0", "1")),
        (np.array([0, 1]), ("0", "1")),
        (range(2), ("0", "1")),
        ((False, True), ("False", "True")),
        (np.array([False, True]), ("False", "True")),
        (("fine", "fraud"), ("fine", "fraud")),
    ],
)
def test_a_class_has_one_name_everywhere(classes: Any, names: tuple[str, str]) -> None:
    schema = ModelSchema(features=(X,), task=Classification(classes=classes))
    assert schema.task.truths == names
    frame = pd.DataFrame({"x": [-1.0, 1.0] * 20})
    labels = np.array([*classes] * 20)
    answers = Scorer("1.0.0", schema, LogisticRegression().fit(frame, labels)).score(frame)
    assert answers.labels == [*names] * 20
    assert evaluate("overall", labels, answers.labels).metrics["accuracy"] == 1.0
    assert make_baseline(frame, schema, scores=answers.scores, labels=labels).label.counts.tolist() == [0, 20, 20, 0]
    sent = [{"prediction_id": "a", "label": each} for each in np.asarray(classes).tolist()]
    assert [schema.task.read_truth(label) for _, label, _ in read_labels({"labels": sent}, 10)] == [*names]


@pytest.mark.parametrize("classes", [{"a", "b"}, "ab", ("a", 0.5), ("a", None), (1, "1"), (1, 1.0)])
def test_classes_without_names_or_order_are_refused(classes: Any) -> None:
    with pytest.raises(ValidationError, match="classes"):
        ModelSchema(features=(X,), task=Classification(classes=classes))


def test_an_estimator_of_fractions_is_refused_by_name() -> None:
    fitted = LogisticRegression().fit([[0.0], [1.0]], ["a", "b"])
    fitted.classes_ = np.array([0.5, 1.5])
    with pytest.raises(ModelFailedError, match=r"0\.5 is a float, and a class, label or category is a text"):
        Scorer("1.0.0", ModelSchema(features=(X,), task=Classification(classes=("a", "b"))), fitted)


@pytest.mark.parametrize("label", [None, "", " ", 0.5, [1], {}, json.loads("[" * 900 + "]" * 900)])
def test_feedback_that_names_no_class_is_refused(label: object) -> None:
    sent = {"labels": [{"prediction_id": "a", "label": label}]}
    with pytest.raises(InvalidInputError, match="label"):
        [UNKNOWN_TASK.read_truth(read) for _, read, _ in read_labels(sent, 10)]


GATE = ModelSchema(features=(Feature(name="gate", kind="categorical"),), task=Classification(classes=("a", "b")))


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (Column("INT64", [7.0, None]), ["7", None]),
        (Column("FP64", [7.0, None]), ["7", None]),
        (Column("BOOL", [1.0, 0.0]), ["True", "False"]),
        (Column("BYTES", ["7", "B4"]), ["7", "B4"]),
    ],
)
def test_a_request_has_the_categories_of_training(sent: Column, taken: list[str | None]) -> None:
    assert take_features(GATE, {"gate": sent}) == {"gate": taken}


@pytest.mark.parametrize("sent", [Column("FP64", [7.5]), Column("FP32", [float("inf")]), Column("UINT64", [2.0**60])])
def test_a_number_that_is_no_category_is_refused_and_not_told_to_others(sent: Column) -> None:
    with pytest.raises(InvalidFeaturesError, match=r"'gate' is categorical: .*; send BYTES") as caught:
        take_features(GATE, {"gate": sent})
    assert str(sent.values[0]) in caught.value.message
    assert str(sent.values[0]) not in caught.value.told
