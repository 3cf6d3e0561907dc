"""The traffic people really have, small and through a live server: what of it becomes evidence, and what is decided.

bench/at_any_time.py has the same worlds at length, simulated.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from mlops_dagster.clock import SystemClock
from mlops_dagster.predictions import Pair
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Decision, Outcome, Phase, RolloutPolicy
from tests.support.serving.data_plane import SCHEMA, WIDER, Models, Server, eventually

MINUTE = timedelta(minutes=1)
POLICY = RolloutPolicy(rows_per_observation=1, cold_start=10_000)
CHAMPION_ONLY_LATE = 20.0
"""Late for the champion, and on time for a challenger with a threshold of 30."""


@dataclass(frozen=True)
class Trial:
    """A canary at half of the traffic of a model, both versions in memory."""

    server: Server
    models: Models
    model: str

    def ask(self, count: int, **options: Any) -> list[str]:
        """As many requests one after another; returns the ids of their predictions, or of those that were answered."""
        answers = [self.server.infer(self.model, **options) for _ in range(count)]
        return [answer.json()["id"] for answer in answers if answer.status_code == 200]

    def ask_each(self, delays: list[float], **options: Any) -> list[str]:
        return [self.server.infer(self.model, delay=delay, **options).json()["id"] for delay in delays]

    def tell(self, labels: dict[str, str]) -> Any:
        sent = [{"prediction_id": name, "label": label} for name, label in labels.items()]
        return self.server.post(f"/v1/models/{self.model}/feedback", {"labels": sent}).json()

    def look(self) -> Decision:
        """What would be decided now, of all that was answered and labelled so far."""
        self.server.flush(log=False)
        stores = self.models.stores
        return stores.controller(lambda _model: POLICY).look(stores.rollouts.running(self.model))

    @property
    def canary(self) -> str | None:
        return self.models.stores.registry.deployment(self.model).canary


@pytest.fixture
def trial(models: Models, server: Server, request: pytest.FixtureRequest) -> Trial:
    """Of a challenger as good, or as the parameter says: its schema and threshold."""
    schema, threshold = getattr(request, "param", (SCHEMA, 15.0))
    model, stores = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].strip("-"), models.stores
    models.champion(model)
    challenger = models.register(model, "1.1.0", schema=schema, threshold=threshold)
    epoch, started_at = stores.registry.deployment(model).epoch, SystemClock().now() - MINUTE
    rollout = stores.rollouts.start(model, "1.0.0", "1.1.0", POLICY, epoch, started_at)
    stores.registry.transition(challenger, Stage.CANARY, weight=0.5)
    stores.rollouts.change(
        rollout.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5, epoch=epoch + 1)
    )
    server.wait_in_force(stores, model)
    return Trial(server, models, model)


def test_a_request_that_nobody_can_answer_says_nothing_of_either(trial: Trial) -> None:
    """An unknown category makes both raise: by the limit alone, one in a hundred would have been too many."""
    trial.ask(60)
    assert trial.ask(40, carrier="ZZ") == []
    found = trial.look()
    both = found.evidence.since[0].both
    assert (both.both_failed, both.challenger_failed, both.champion_failed) == (40, 0, 0)
    assert found.test("champion.over_limit").proven
    assert found.outcome is Outcome.HOLD
    assert trial.canary == "1.1.0"


def test_many_rows_of_one_request_fail_once(trial: Trial) -> None:
    trial.ask(30)
    trial.ask(4, carrier="ZZ", rows=50)
    whole = trial.look().evidence.since[0]
    assert whole.canary.errors + whole.champion.errors == whole.both.both_failed == 4
    assert whole.both.requests == 34
    assert whole.canary.failed_rows + whole.champion.failed_rows == 200


def test_many_labels_of_one_request_are_one(trial: Trial) -> None:
    (name,) = trial.ask(1, rows=50)
    first = name.partition("/")[0]
    trial.look()  # what is scored beside is there before the labels are
    assert trial.tell({f"{first}/{row}": "late" for row in range(50)})["accepted"] == 50
    labels = trial.look().evidence.labels
    assert (labels.units, labels.labelled, labels.paired.total) == (1, 1, 1)


def test_labels_that_come_at_once_are_of_both_versions(trial: Trial) -> None:
    """Before the other version has scored the row, which takes half a second."""
    for number in range(10):
        (name,) = trial.ask_each([40.0 + number])
        assert trial.tell({name: "late"})["accepted"] == 1
    labels = trial.look().evidence.labels
    assert (labels.units, labels.labelled, labels.paired.total) == (10, 10, 10)
    pair = Pair(trial.model, "1.0.0", "1.1.0")
    now = SystemClock().now()
    cohorts = pair.cohorts(trial.models.stores.rollups, now - 10 * MINUTE, now + MINUTE).values()
    assert sum(each.units for each in cohorts) == sum(each.labelled for each in cohorts) == 10


@pytest.mark.parametrize("trial", [(SCHEMA, 30.0)], indirect=True)
def test_a_row_that_a_client_repeats_is_lost_once(trial: Trial) -> None:
    repeated = trial.ask(150, delay=CHAMPION_ONLY_LATE)
    others = trial.ask_each([40.0 + number for number in range(30)])
    trial.look()
    trial.tell(dict.fromkeys(repeated + others, "late"))
    found = trial.look()
    assert (found.evidence.labels.paired.losses, found.evidence.labels.paired.total) == (1, 31)
    assert found.outcome is Outcome.HOLD
    assert trial.canary == "1.1.0"


@pytest.mark.parametrize("trial", [(SCHEMA, 30.0)], indirect=True)
def test_the_same_losses_of_many_clients_are_proof(trial: Trial) -> None:
    """The other side of the one before: by keys of their own they are many, and the fuse does not wait for anybody."""
    lost = [
        trial.ask(1, delay=CHAMPION_ONLY_LATE, parameters={"routing_key": f"client {number}"})[0]
        for number in range(60)
    ]
    trial.look()
    trial.tell(dict.fromkeys(lost, "late"))
    trial.server.flush(log=False)
    eventually(lambda: trial.canary is None)


def test_one_id_for_all_requests_is_one_prediction(trial: Trial) -> None:
    """As examples of clients send it: the split must not follow it, and one label is of one request."""
    delays = [40.0 + number for number in range(60)]
    roles = [trial.server.infer(trial.model, delay=delay, id="1").json()["parameters"]["role"] for delay in delays]
    assert {"champion", "canary"} == set(roles)
    trial.look()
    assert trial.tell({"1": "late"}) == {"accepted": 1, "corrections": 0, "pending": 0, "unknown": []}
    found = trial.look().evidence.labels
    assert (found.units, found.labelled) == (60, 1)


@pytest.mark.parametrize("trial", [(SCHEMA, 30.0)], indirect=True)
def test_labels_of_complaints_alone_prove_nothing(trial: Trial) -> None:
    """Between the thresholds the truth is what was not answered, else it stays unknown: a loss here, a win there."""
    # In turns, for a minute of which all labels are known is evidence.
    delays = [delay for number in range(40) for delay in (CHAMPION_ONLY_LATE + number / 100, 40.0 + number)]
    answers = dict(zip(trial.ask_each(delays), delays, strict=True))
    trial.look()
    trial.tell({name: "late" for name, delay in answers.items() if delay < 30})
    found = trial.look()
    assert found.evidence.labels.paired.total == 0
    assert "labels of 50% are known, 95% are needed" in found.reason
    assert found.outcome is Outcome.HOLD
    assert trial.canary == "1.1.0"


def test_a_label_that_is_no_class_is_refused_and_no_evidence(trial: Trial) -> None:
    names = trial.ask_each([40.0 + number for number in range(12)])
    trial.look()
    answer = trial.tell({**dict.fromkeys(names[:10], "LATE"), names[10]: "late"})
    assert answer["code"] == "invalid_labels"
    assert "'LATE'" in answer["error"]
    assert trial.look().evidence.labels.labelled == 0


@pytest.mark.parametrize("trial", [(WIDER, 15.0)], indirect=True)
def test_what_the_challenger_alone_fails_on_takes_it_out_at_once(trial: Trial) -> None:
    """Its schema asks for a feature that nobody sends."""
    trial.ask(24)
    trial.server.flush(log=False)
    eventually(lambda: trial.canary is None)
