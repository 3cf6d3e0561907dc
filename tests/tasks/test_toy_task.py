"""A kind of task that is made up for tests goes from its schema to a decision, and no room had to be told of it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from mlops_dagster.clock import SystemClock
from mlops_dagster.errors import InvalidInputError, InvalidLabelsError, ModelFailedError
from mlops_dagster.monitoring import PerformancePolicy, performance
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.rollout import Outcome, RolloutPolicy, collect, decide
from mlops_dagster.rollout.comparison.comparison import Standing
from mlops_dagster.rollout.comparison.same_rows import compare_on_log
from mlops_dagster.rollout.floor.floor import FloorOutcome
from mlops_dagster.rollout.floor.look import look_at_floor
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.replay import replay
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import TASKS
from tests.support.servable import tried_before
from tests.support.toy_task import SCHEMA_JSON, Count, regression

MODEL, ROWS, OFF = "orders", 240, 4.0


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "count", Count)


@contextmanager
def served(home: Path) -> Iterator[tuple[Service, ModelVersion, ModelVersion]]:
    """Two versions in a data plane of this process, the second as shadow of a running rollout."""
    settings = Settings(home=home)
    stores, schema = Stores(settings, actor="test"), ModelSchema.model_validate(SCHEMA_JSON)
    with tried_before():
        good, bad = (
            stores.registry.register(MODEL, regression(off), version, schema=schema)
            for version, off in (("1.0.0", 0.0), ("1.1.0", OFF))
        )
        good = stores.registry.transition(good, Stage.PRODUCTION, force=True, reason="the first")
        stores.controller(lambda _model: POLICY).tick(MODEL)
        service = Service(settings, SystemClock())
        try:
            service.deployments.refresh()
            service.deployments.wait_for_loads(20)
            service.deployments.refresh()
            yield service, good, bad
        finally:
            service.stop()


POLICY = RolloutPolicy(rows_per_observation=1, min_shadow_requests=10, min_step_requests=10, min_step_paired=10)


async def ask(service: Service) -> dict[str, str]:
    """Ask for one count a request, send every truth, and return these by the id of the prediction."""
    truths = {f"p{number}": number for number in range(ROWS)}

    async def answer(name: str, x: int, **more: object) -> dict[str, Any]:
        tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}
        body = json.dumps({"id": name, "inputs": [tensor], **more}).encode()
        found = await service.plane.infer(MODEL, body, None, {}, service.tracing.begin(None))
        content: dict[str, Any] = json.loads(found.body)
        return content

    answers = await asyncio.gather(*(answer(name, x) for name, x in truths.items()))
    count, names = answers[7]["outputs"]
    assert (count["name"], count["datatype"], count["shape"]) == ("count", "FP64", [1])
    assert (count["data"], names["data"]) == ([pytest.approx(21)], ["p7"])
    with pytest.raises(InvalidInputError, match=r"unknown output 'label'; there are \['count', 'prediction_id'\]"):
        await answer("refused", 1, outputs=[{"name": "label"}])
    with pytest.raises(InvalidLabelsError, match="'many'"):
        await service.plane.feedback(MODEL, [("p0", "many", None)], None)
    sent = {name: str(3 * x) for name, x in truths.items()}
    result = await service.plane.feedback(MODEL, [(name, int(truth), None) for name, truth in sent.items()], None)
    assert result.accepted == ROWS
    return sent


def test_a_task_that_is_made_up_is_served_logged_counted_reported_and_decided(tmp_path: Path) -> None:
    with served(tmp_path / "home") as (service, good, bad):
        began = service.stores.clock.now() - timedelta(minutes=1)
        truths = asyncio.run(ask(service))
        service.flush(log=True)
        stores, until = service.stores, service.stores.clock.now() + timedelta(minutes=1)

        # the log has predictions and labels as texts, the score as a number; a replay says the same
        row = stores.log.get("p7", MODEL)
        assert (row["prediction"], row["score"], row["label"]) == ("21", pytest.approx(21), truths["p7"])
        assert replay(stores, "p7", MODEL).same

        # the rollups: each loss of the shadow, (4/10)^2, is a whole one by chance, and none of the champion's is
        events = {(each.version, each.role): each.counts for each in stores.rollups.events(MODEL, began, until)}
        champion, shadow = events["1.0.0", "champion"], events["1.1.0", "shadow"]
        assert (champion.labelled, champion.wrong, shadow.labelled) == (ROWS, 0, ROWS)
        assert shadow.wrong == pytest.approx(0.16 * ROWS, abs=4 * (0.16 * 0.84 * ROWS) ** 0.5)
        (rollout,) = stores.rollouts.list(MODEL)
        evidence = collect(stores.rollups, rollout, until)
        assert evidence.labels.since[0].outcomes.keys() == {"all"}
        pairs = evidence.labels.paired
        assert (pairs.wins, pairs.losses, pairs.total) == (0, shadow.wrong, ROWS)

        # a recount from the log draws the same
        service._housekeeping.recount()
        assert collect(stores.rollups, rollout, until).labels.paired == pairs

        # the report has the measures of the task
        tasks = {version.version: version.task for version in (good, bad)}
        report = performance(stores.log.answers(MODEL, began, until, roles=("champion", "shadow")), tasks=tasks)
        found = {each.version: each for each in report.versions}
        assert found["1.1.0"].value("mae") == pytest.approx(4)
        assert found["1.1.0"].value("closeness") == pytest.approx(0.84)
        assert report.headline()["closeness"] == pytest.approx(1)
        assert {"closeness", "mean error"} < report.table()[0].keys()

        # the floor is of its headline
        days = {began.date(), until.date()}
        look = look_at_floor(stores.registry, stores.log, MODEL, PerformancePolicy(), POLICY, matured=days, until=until)
        assert look is not None
        assert (look.headline.measure, look.headline.rows, look.decision.outcome) == (
            "closeness",
            ROWS,
            FloorOutcome.FINE,
        )
        assert look.decision.reason == f"closeness 1.000 is not under 0.87 ({ROWS} rows)"

        # and the decision is about its loss
        decision = decide(POLICY, rollout, evidence, until)
        assert decision.outcome is Outcome.ROLLBACK
        assert decision.test("paired.worse").claim.startswith("closeness more than 0.02 under the champion's")
        on_log = compare_on_log(stores.registry, stores.log, good, bad, POLICY, since=began, until=until)
        assert (on_log.verdict, on_log.overall.pairs.losses) == (Standing.WORSE, ROWS)


def test_a_task_says_what_can_answer_it(tmp_path: Path) -> None:
    schema = ModelSchema.model_validate_json(json.dumps(SCHEMA_JSON))
    assert ModelSchema.model_validate_json(schema.model_dump_json()) == schema
    assert schema.task == Count(cap=10)
    with pytest.raises(ValidationError, match="there is no task 'ranking'; known tasks: classification, count"):
        ModelSchema.model_validate({**SCHEMA_JSON, "task": {"kind": "ranking"}})
    registry, classifier = (
        Stores(Settings(home=tmp_path)).registry,
        LogisticRegression().fit([[0.0], [1.0]], ["a", "b"]),
    )
    with pytest.raises(InvalidInputError, match="LogisticRegression counts nothing"):
        registry.register(MODEL, classifier, schema=schema)
    classes = ModelSchema.model_validate({**SCHEMA_JSON, "task": {"classes": ["a", "b"]}})
    with pytest.raises(InvalidInputError, match="LinearRegression is not a classifier"):
        registry.register(MODEL, regression(0), schema=classes)
    with tried_before():
        registry.register(MODEL, classifier, schema=classes)
        with pytest.raises(InvalidInputError, match="the task of orders is 'classification', as 1.0.0 says, and"):
            registry.register(MODEL, regression(0), schema=schema)
    with pytest.raises(ModelFailedError, match="has no predict_proba"):
        LoadedModel("1.0.0", classes, regression(0))
