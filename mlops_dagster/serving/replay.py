"""Replay: a logged row is scored again, from the version's verified artifact, and compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, cast

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.inference import logged_value
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.protocol.tensors import Value

if TYPE_CHECKING:
    from mlops_dagster.stores import Stores

TOLERANCE = 1e-6
"""The largest difference of scores and tensors that counts as the same: the row was scored in a batch, and
single precision adds up differently in a batch of another size."""


@dataclass(frozen=True, slots=True)
class ReplayedAnswer:
    """A version's answer to a row, or the `error` in its place.

    `tensors` are the outputs that are given on request, such as probabilities by class, by name: those that were logged
    or, of the row scored now, all.
    """

    label: str | None
    score: float | None
    tensors: Mapping[str, list[float]]
    error: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """One row of the log, and the same row scored now; `same`: equal label, score, and tensors where logged."""

    prediction_id: str
    model: str
    version: str
    features: dict[str, Value]
    logged: ReplayedAnswer
    again: ReplayedAnswer
    same: bool


def replay(stores: "Stores", prediction_id: str, model: str | None = None) -> Replay:
    """Score a logged row again with the version that scored it, and compare the two answers.

    Raises PredictionNotFoundError; InvalidInputError for a row that no version scored; ModelFailedError for a version
    without a schema; and the errors of loading: VersionNotFoundError, CorruptedArtifactError, SignatureError,
    StorageError.
    """
    row = stores.log.get(prediction_id, model)
    name, version = str(row["model"]), str(row["version"])
    if row["status"] in ("rejected", "held"):
        raise InvalidInputError(f"{prediction_id} was rejected ({row['error']}): no version scored it")
    entry = stores.registry.get(name, version)
    if entry.schema is None:
        raise ModelFailedError(f"{name} {version} was registered without a schema and cannot be scored")
    features = {feature.name: logged_value(row, feature) for feature in entry.schema.features}
    if row["status"] == "failed" and all(value is None for value in features.values()):
        raise InvalidInputError(f"{prediction_id} failed before the model ({row['error']}): it was given no features")
    loaded = LoadedModel(version, entry.schema, stores.registry.load(entry))
    logged = ReplayedAnswer(
        cast("str | None", row["prediction"]),
        cast("float | None", row["score"]),
        _logged_tensors(row, loaded),
        cast("str | None", row["error"]),
    )
    again = _answer(loaded, features)
    return Replay(prediction_id, name, version, features, logged, again, _same(logged, again))


def _answer(loaded: LoadedModel, features: Mapping[str, Value]) -> ReplayedAnswer:
    try:
        scores = loaded.predict({name: [value] for name, value in features.items()})
    except ModelFailedError as error:
        return ReplayedAnswer(None, None, {}, error.message)
    tensors = {name: scores.tensors[name][0] for name in _on_request(loaded)}
    return ReplayedAnswer(scores.labels[0], scores.scores[0], tensors, None)


def _logged_tensors(row: Mapping[str, object], loaded: LoadedModel) -> dict[str, list[float]]:
    logged = {name: row.get(name) for name in _on_request(loaded)}
    return {name: cast("list[float]", values) for name, values in logged.items() if values is not None}


def _on_request(loaded: LoadedModel) -> list[str]:
    return [each.name for each in loaded.schema.task.outputs if each.on_request]


def _same(logged: ReplayedAnswer, again: ReplayedAnswer) -> bool:
    """Return whether two answers are the same; two failures are, as the text of an error depends on the batch."""
    if logged.label is None or again.label is None:
        return logged.label == again.label
    before = [logged.score, *chain.from_iterable(logged.tensors.values())]
    after = [again.score, *chain.from_iterable(again.tensors[name] for name in logged.tensors)]
    return (
        logged.label == again.label
        and len(before) == len(after)
        and all(
            old is not None and new is not None and abs(old - new) <= TOLERANCE
            for old, new in zip(before, after, strict=True)
        )
    )
