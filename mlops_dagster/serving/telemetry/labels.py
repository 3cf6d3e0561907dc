"""Metrics of labels: those that came, what they say of the predictions, and those that are awaited."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from mlops_dagster.predictions import FeedbackResult, LabelDebt
from mlops_dagster.serving.deployed.loaded_model import OTHER
from mlops_dagster.serving.telemetry.arms import ARM
from mlops_dagster.tasks import Task
from mlops_dagster.tasks.task import WRONG_FROM

MOST_CLASSES: Final = 20
"""Classes that metrics tell apart; further ones count as OTHER, for the pairs of classes grow with the square."""

_OUTCOMES: Final = ("first", "correction", "repeated", "pending", "unknown", "unmatched")


def counted_classes(task: Task) -> Sequence[str]:
    """Return the classes that metrics name; none for a task whose truths cannot be listed."""
    return task.truths[:MOST_CLASSES]


class LabelMetrics:
    """The metrics of labels, of all models."""

    def __init__(self, registry: CollectorRegistry) -> None:
        model = ("model",)
        self._outcomes = Counter("mlops_labels", "Labels received", ("model", "outcome"), registry=registry)
        self._refused = Counter(
            "mlops_labels_refused",
            "Labels that are not a class of the model; nothing of their batch is recorded",
            model,
            registry=registry,
        )
        self._waited: set[str] = set()
        self._waiting = Gauge(
            "mlops_labels_waiting",
            "Labels that wait for the replica that made their prediction",
            model,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._repeated_ids = Counter(
            "mlops_repeated_ids",
            "Predictions with the id of an earlier prediction of the model, which gets their labels",
            model,
            registry=registry,
        )
        self._labelled = Counter(
            "mlops_labelled",
            f"Predictions whose label is known, by both and whether they agree; of {MOST_CLASSES} classes at most",
            (*ARM, "label", "prediction", "correct"),
            registry=registry,
        )
        self._debt = Gauge(
            "mlops_label_debt",
            "Predictions of the last MLOPS_LABEL_DAYS days without a label",
            model,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._debt_age = Gauge(
            "mlops_label_debt_age_seconds",
            "Age of the oldest and of the median prediction counted in mlops_label_debt",
            ("model", "of"),
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def begin(self, model: str) -> None:
        """Begin the counts of a model's labels at 0."""
        self._refused.labels(model)
        self._repeated_ids.labels(model)
        for outcome in _OUTCOMES:
            self._outcomes.labels(model, outcome)

    def begin_arm(self, model: str, version: str, role: str, task: Task) -> None:
        """Begin the counts of an arm's labelled predictions at 0, for each pair of classes."""
        for truth, prediction in product(counted_classes(task), repeat=2):
            self._labelled.labels(model, version, role, truth, prediction, _correct(task, prediction, truth))

    def received(self, model: str, result: FeedbackResult, task: Task) -> None:
        """Count the labels of a batch by outcome, and the predictions they are about by arm, label and prediction."""
        for outcome, count in (
            ("first", result.accepted - result.corrections - result.repeated - result.pending),
            ("correction", result.corrections),
            ("repeated", result.repeated),
            ("pending", result.pending),
            ("unknown", len(result.unknown)),
        ):
            self._outcomes.labels(model, outcome).inc(count)
        named = set(counted_classes(task))
        for hit, count in result.hits.items():
            truth, prediction = (each if each in named else OTHER for each in (hit.label, hit.prediction))
            correct = _correct(task, hit.prediction, hit.label)
            self._labelled.labels(hit.model, hit.version, hit.role, truth, prediction, correct).inc(count)

    def waiting(self, labels: Mapping[str, int]) -> None:
        """Set the number of labels that wait for the replica that made their prediction, by model."""
        self._waited.update(labels)
        for model in self._waited:
            self._waiting.labels(model).set(labels.get(model, 0))

    def unmatched(self, model: str, labels: int) -> None:
        """Count labels with ids of which no replica knows a prediction."""
        self._outcomes.labels(model, "unmatched").inc(labels)

    def refused(self, model: str, labels: int) -> None:
        """Count labels that are not a class of the model."""
        self._refused.labels(model).inc(labels)

    def repeated_ids(self, model: str, predictions: int) -> None:
        """Count predictions with the id of an earlier prediction."""
        self._repeated_ids.labels(model).inc(predictions)

    def awaited(self, debts: Iterable[tuple[str, LabelDebt]], now: datetime) -> None:
        """Set the label debt of models: the number of predictions without a label, and their ages."""
        for model, debt in debts:
            self._debt.labels(model).set(debt.awaiting)
            for of, at in (("oldest", debt.oldest_at), ("median", debt.median_at)):
                self._debt_age.labels(model, of).set((now - at).total_seconds() if at is not None else 0)


def _correct(task: Task, prediction: str, truth: str) -> str:
    return "true" if task.loss(prediction, truth) < WRONG_FROM else "false"
