"""The truth about predictions, from HTTP through the log to the report of performance, and what of it is missing."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import EvaluationSlice, Stage
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import wilson_interval
from mlops_dagster.stores import Stores
from tests.serving.test_telemetry import parsed, value
from tests.support.components.at_a_time import DagsterAt
from tests.support.serving.data_plane import CARD, SCHEMA, ForkedServer, Models, Server, eventually, make_baseline
from tests.support.serving.light import light_artifacts

MODEL = "judged"
SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.trains",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
)
MINUTE = timedelta(minutes=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Yesterday's: the day is over, and young enough to be a debt."""


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """With a champion of MODEL that is evaluated by carrier, and one of another model."""
    stores = Stores(Settings(home=tmp_path / "home"), actor="ada")
    models = Models(stores, light_artifacts(tmp_path))
    scores = CARD.evaluation[0].metrics
    slices = [EvaluationSlice(name=name, rows=9, metrics=scores) for name in ("carrier=AA", "carrier=UA")]
    card = CARD.model_copy(update={"evaluation": (*CARD.evaluation, *slices)})
    artifact = models.artifacts[SCHEMA.digest, 15.0]
    champion = stores.registry.register(
        MODEL, artifact, "1.0.0", schema=SCHEMA, card=card, baseline=make_baseline(SCHEMA)
    )
    stores.registry.transition(champion, Stage.PRODUCTION)
    models.champion("other")
    return models


class Judge:
    """Asks a data plane, sends it labels, and reads what became of them."""

    def __init__(self, models: Models, instance: dg.DagsterInstance) -> None:
        self._stores = models.stores
        self._dagster = DagsterAt(models.stores.settings.home, instance, NOON + timedelta(hours=12), SPEC)
        self.server = self._serve()

    def _serve(self) -> Server:
        server = ForkedServer(self._stores.settings.home, MLOPS_ACCEPT_EVENT_TIME="true")
        for model in (MODEL, "other"):
            server.wait_in_force(self._stores, model)
        return server

    def restart(self) -> None:
        assert self.server.stop(signal.SIGTERM) == 0
        self.server = self._serve()

    def ask(self, name: str, minute: int, delay: float, carrier: str, model: str = MODEL) -> None:
        at = (NOON + minute * MINUTE).isoformat()
        answer = self.server.infer(model, id=name, delay=delay, carrier=carrier, parameters={"event_time": at})
        assert answer.status_code == 200, answer.text

    def tell(self, *labels: tuple[str, str, int]) -> tuple[int, int, list[str]]:
        """Labels as (prediction, label, minutes after noon); returns accepted, corrections, unknown."""
        sent = [
            {"prediction_id": name, "label": label, "at": (NOON + minute * MINUTE).isoformat()}
            for name, label, minute in labels
        ]
        said = self.server.post(f"/v1/models/{MODEL}/feedback", {"labels": sent}).json()
        return said["accepted"], said["corrections"], said["unknown"]

    def reported(self) -> dict[str, object]:
        """The champion's figures of the day, by a run of `performance_report`."""
        self.server.flush()
        day = f"{NOON:%Y-%m-%d}"
        ran = self._dagster.run("daily_performance", tags={"dagster/partition": day})
        (made,) = ran.asset_materializations_for_node(f"{MODEL}__performance_report")
        (version,) = made.metadata["versions"].value
        return {**version, "labels_counted": made.metadata["labels_counted"].value}

    def debt(self) -> dict[str, float]:
        """As a data plane that has just been started tells: how many, and how old in minutes since noon."""
        self.restart()

        def told() -> dict[str, float] | None:
            found, now = parsed(self.server.client.get("/metrics").text), datetime.now(UTC)
            awaiting = value(found, "label_debt", model=MODEL)
            if awaiting is None:
                return None
            ages = {of: value(found, "label_debt_age_seconds", model=MODEL, of=of) for of in ("oldest", "median")}
            since = {of: (now - timedelta(seconds=age) - NOON) / MINUTE if age else 0.0 for of, age in ages.items()}
            return {"awaiting": awaiting, **since}

        return eventually(told)


@pytest.fixture
def judge(models: Models) -> Iterator[Judge]:
    with dg.DagsterInstance.ephemeral() as instance:
        judge = Judge(models, instance)
        yield judge
        judge.server.stop(signal.SIGKILL)


def test_a_request_that_does_not_say_when_it_happened_is_refused_where_traffic_is_replayed(judge: Judge) -> None:
    """It would be counted at the time of the last one that did, and a rollout would wait for ever."""
    refused = judge.server.infer(MODEL)
    assert refused.status_code == 400
    assert "MLOPS_ACCEPT_EVENT_TIME" in refused.json()["error"]
    assert "add the parameter `event_time`" in refused.json()["error"]


def test_labels_late_twice_corrected_out_of_order_and_of_nobody_reach_the_report(judge: Judge) -> None:
    for number in range(10):  # 0 to 5 are answered "late"
        judge.ask(f"p{number}", number, 40.0 if number < 6 else 0.0, "AA" if number % 2 else "UA")
    judge.ask("o0", 0, 40.0, "AA", model="other")
    nothing = judge.reported()
    assert (nothing["requests"], nothing["labelled"], nothing["accuracy"]) == (10, 0, None)
    debt = judge.debt()
    assert debt == pytest.approx({"awaiting": 10, "oldest": 0, "median": 4}, abs=0.5)

    # the last one first; of nobody; of another model
    first = judge.tell(
        ("p9", "on_time", 70), ("p0", "late", 65), ("?", "late", 60), ("o0", "late", 60), ("p1", "on_time", 62)
    )
    assert first == (3, 0, ["?", "o0"])
    report = judge.reported()
    assert (report["labelled"], report["accuracy"], report["labels_counted"]) == (3, 2 / 3, 3)
    assert report["accuracy_interval"] == pytest.approx(wilson_interval(2, 3))
    parts = {part["name"]: (part["labelled"], part["accuracy"]) for part in report["slices"]}
    assert parts == {"carrier=AA": (2, 0.5), "carrier=UA": (1, 1.0)}

    assert judge.tell(("p9", "on_time", 70), ("p0", "late", 65), ("p1", "on_time", 62)) == (3, 0, []), "once more"
    assert judge.reported() == report

    assert judge.tell(("p1", "late", 80)) == (1, 1, []), "corrected"
    corrected = judge.reported()
    assert (corrected["labelled"], corrected["accuracy"], corrected["labels_counted"]) == (3, 1.0, 4)
    assert judge.tell(("p1", "on_time", 75), ("p0", "on_time", 64)) == (2, 2, []), "known before, came after"
    assert judge.reported() == {**corrected, "labels_counted": 6}
    assert judge.debt() == pytest.approx({"awaiting": 7, "oldest": 2, "median": 5}, abs=0.5), "a restart forgets none"

    # there and back: the middle one comes last
    assert judge.tell(("p2", "late", 90), ("p2", "late", 94), ("p2", "on_time", 92)) == (3, 1, [])
    late = [(f"p{number}", "late" if number < 6 else "on_time", 600) for number in (8, 3, 7, 4, 6, 5)]
    assert judge.tell(*late) == (6, 0, [])
    complete = judge.reported()
    assert (complete["labelled"], complete["accuracy"], complete["macro_f1"]) == (10, 1.0, 1.0)
    assert judge.debt() == {"awaiting": 0, "oldest": 0, "median": 0}
