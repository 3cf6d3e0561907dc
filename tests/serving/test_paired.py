"""Scoring off the response path is bounded, and what is left out is counted."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mlops_dagster.errors import InvalidFeaturesError, ModelTimeoutError
from mlops_dagster.predictions import Answered, ShedRecord
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import Phase, Rollout, RolloutPolicy
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.in_force import InForce
from mlops_dagster.serving.deployed.loaded_model import LoadedModel, Scores
from mlops_dagster.serving.plane.calls import InferenceRequestContext, ScoringResult, ScoringTask
from mlops_dagster.serving.plane.shadow import ShadowScorer, Task, others
from mlops_dagster.serving.protocol.infer import Column, InferRequest
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import TraceContext
from mlops_dagster.serving.upkeep.unsettled import Arm
from mlops_dagster.tasks import Classification

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = ModelSchema(features=(Feature(name="a", kind="numeric"),), task=Classification(classes=("no", "yes")))
WIDER = ModelSchema(features=(*SCHEMA.features, Feature(name="b", kind="numeric")), task=SCHEMA.task)


class Never:
    classes_ = np.array(["no", "yes"])

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        raise AssertionError(f"nothing is scored here, and not {X}")


VERSIONS = {
    "1.0.0": LoadedModel("1.0.0", SCHEMA, Never()),
    "1.1.0": LoadedModel("1.1.0", WIDER, Never()),
    "1.2.0": LoadedModel("1.2.0", SCHEMA, Never()),
}
TRACE = TraceContext("0" * 31 + "1", "0" * 15 + "1", None, sampled=False)
ANSWERED, FAILED = Answered("1.0.0", "champion", "ok"), Answered("1.0.0", "champion", "failed")
DEPLOYMENT = Deployment("m", 3, "1.0.0", "1.1.0", 0.2, ("1.2.0",), "salt", None, NOW)


def rollout(policy: RolloutPolicy) -> Rollout:
    return Rollout(1, "m", "1.0.0", "1.1.0", policy, Phase.CANARY, 1, 0.2, NOW, NOW, NOW, False, {}, 3)


def call(number: int, role: str = "champion", policy: RolloutPolicy | None = None) -> InferenceRequestContext:
    in_force = InForce(DEPLOYMENT, VERSIONS, rollout(policy) if policy else None, slow_ms=200)
    inputs = {"a": Column("FP64", [1.0])}
    scoring = ScoringTask(VERSIONS["1.0.0"], role, 0.8, {"a": [1.0]})  # type: ignore[arg-type]  # one of the roles
    return InferenceRequestContext(
        f"call {number}",
        f"worker-{number}",
        in_force,
        InferRequest(None, 1, inputs),
        inputs,
        NOW,
        NOW,
        time.perf_counter(),
        TRACE,
        scoring,
    )


def test_every_shadow_and_the_other_arm_score_unless_the_version_was_named() -> None:
    shadow, pair = others(call(1), FAILED)
    assert (shadow.version.version, shadow.role, shadow.weight) == ("1.2.0", "shadow", 0.2)
    assert (pair.version.version, pair.role, pair.weight) == ("1.1.0", "paired", 0.2)
    assert shadow.beside == pair.beside == FAILED
    assert isinstance(pair.refusal, InvalidFeaturesError), "its own schema refuses the request: its failure"
    assert others(call(1, role="named"), ANSWERED) == []
    assert [scoring.version.version for scoring in others(call(1, role="canary"), ANSWERED)] == ["1.2.0", "1.0.0"]


@pytest.mark.parametrize(
    ("policy", "share"),
    [
        (RolloutPolicy(paired_share=0.25), 0.25),
        (RolloutPolicy(paired=False), 0.0),
        (RolloutPolicy(answer_influences_label=True), 0.0),
        (None, 1.0),
    ],
)
def test_the_policy_of_the_rollout_says_which_share_is_paired(policy: RolloutPolicy | None, share: float) -> None:
    roles = [scoring.role for number in range(2_000) for scoring in others(call(number, policy=policy), ANSWERED)]
    assert roles.count("shadow") == 2_000
    assert roles.count("paired") == pytest.approx(2_000 * share, abs=100)


def test_what_does_not_fit_is_left_out_and_counted_and_the_rest_is_drained() -> None:
    scored: list[Task] = []
    go_on = threading.Event()

    def score(tasks: Sequence[Task]) -> list[ScoringResult]:
        go_on.wait(10)
        return [ScoringResult(Scores([], [], {}))] * len(tasks)

    telemetry = Telemetry()
    shed: list[ShedRecord] = []
    waiting: Counter[Arm] = Counter()
    most = 0

    def note(rows: Counter[Arm], sign: int) -> None:
        nonlocal most
        for arm, count in rows.items():
            waiting[arm] += sign * count
        most = max(most, waiting.total())

    off_path = ShadowScorer(
        score, lambda tasks, _: scored.extend(tasks), shed.extend, telemetry, patience=30, limit=6, waiting=note
    )
    off_path.offer([(call(number), ANSWERED) for number in range(5)])
    go_on.set()
    off_path.drain()
    assert sorted((its.id, scoring.role) for its, scoring in scored) == [
        (f"call {number}", role) for number in range(3) for role in ("paired", "shadow")
    ]
    for role, version in (("shadow", "1.2.0"), ("paired", "1.1.0")):
        line = f'mlops_shed_total{{model="m",role="{role}",version="{version}"}} 2.0'
        assert line in telemetry.exposition().decode()
    minute = NOW.replace(second=0, microsecond=0)
    assert most >= 10
    assert waiting.total() == 0
    assert sorted(shed, key=lambda record: record.role) == [
        ShedRecord("m", "1.1.0", "paired", 0.2, minute, rows=2),
        ShedRecord("m", "1.2.0", "shadow", 0.2, minute, rows=2),
    ]
    off_path.close()


def test_a_version_that_hangs_has_failed_and_the_others_go_on() -> None:
    go_on = threading.Event()
    settled: list[tuple[str, bool]] = []

    def score(tasks: Sequence[Task]) -> list[ScoringResult]:
        if tasks[0][1].version.version == "1.1.0":
            go_on.wait(30)
        return [ScoringResult(Scores([], [], {}), 1.0, 1.5)] * len(tasks)

    def settle(tasks: Sequence[Task], outcomes: Sequence[ScoringResult]) -> None:
        for (_, scoring), outcome in zip(tasks, outcomes, strict=True):
            settled.append((scoring.version.version, isinstance(outcome.result, ModelTimeoutError)))

    off_path = ShadowScorer(score, settle, lambda _: None, Telemetry(), patience=0.1)
    for number in range(2):
        off_path.offer([(call(number), ANSWERED)])
        off_path.drain()
    assert sorted(settled) == [("1.1.0", True), ("1.1.0", True), ("1.2.0", False), ("1.2.0", False)]
    go_on.set()
    off_path.close()
