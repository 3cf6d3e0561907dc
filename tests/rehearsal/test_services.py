"""A rehearsal on services: several data planes are asked in turn, and each gets the labels of what it answered."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.rehearsal import Services
from mlops_dagster.rehearsal.stage import ServingStage
from mlops_dagster.rehearsal.traffic.client import ClientAnswer
from mlops_dagster.rehearsal.traffic.traffic import Request
from tests.support.predictions.records import MARCH

URLS = {"database_url": "postgresql://db/mlops", "storage_url": "s3://b/store", "log_url": "s3://b/log"}


class Plane:
    """A data plane that knows what it has answered."""

    def __init__(self, name: str) -> None:
        self.name, self.answered, self.labels = name, 0, list[str]()

    def post_all(self, _path: str, bodies: list[bytes]) -> list[ClientAnswer]:
        first, self.answered = self.answered, self.answered + len(bodies)
        ids = [f"{self.name}{number}" for number in range(first, self.answered)]
        return [ClientAnswer(200, orjson.dumps({"id": each})) for each in ids]

    def post(self, _path: str, content: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
        sent = [label["prediction_id"] for label in content["labels"]]
        self.labels += sent
        return {"unknown": [each for each in sent if each[0] != self.name]}


def test_requests_are_dealt_in_turn_and_labels_go_to_who_answered() -> None:
    planes = [Plane("a"), Plane("b")]
    stage = ServingStage("flights", planes, registry=None)  # type: ignore[arg-type]  # it is not asked
    due = stage.send([Request(b"{}", "late", MARCH + timedelta(minutes=number)) for number in range(5)])
    assert sorted(label.prediction_id for label in due) == ["a0", "a1", "a2", "b0", "b1"]
    assert stage.deliver(due) == 5
    assert [sorted(plane.labels) for plane in planes] == [["a0", "a1", "a2"], ["b0", "b1"]]


def test_several_planes_need_stores_that_they_share() -> None:
    assert Services(**URLS, planes=2).homes(Path("home")) == [Path("home/planes/1"), Path("home/planes/2")]
    assert Services().homes(Path("home")) == [Path("home")]
    assert (Services().settings, Services(**URLS).settings["MLOPS_LOG_URL"]) == ({}, "s3://b/log")
    for lacking in URLS:
        with pytest.raises(InvalidInputError, match="share a database, a store of model files and a log"):
            Services(**{**URLS, lacking: None}, planes=2)
