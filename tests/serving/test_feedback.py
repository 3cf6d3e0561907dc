"""Labels that are no class are refused by name, and repeated ids are counted; in part through a real data plane."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.errors import InvalidLabelsError
from mlops_dagster.registry import Stage
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.plane.known_tasks import KnownTasks, check_labels
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification
from tests.serving.test_telemetry import parsed, value
from tests.support.serving.data_plane import SCHEMA, ForkedServer, Models, Server, eventually
from tests.support.serving.light import light_artifacts

MODEL, OTHER = "judged", "other"
DAYS = (datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def models(tmp_path: Path) -> Models:
    models = Models(Stores(Settings(home=tmp_path / "home"), actor="ada"), light_artifacts(tmp_path))
    for name in (MODEL, OTHER):
        models.champion(name)
    return models


@pytest.fixture
def server(models: Models) -> Iterator[Server]:
    server = ForkedServer(models.stores.settings.home, MLOPS_MAX_BODY_BYTES=str(2**25))
    for name in (MODEL, OTHER):
        server.wait_in_force(models.stores, name)
    yield server
    server.stop()


def feedback(server: Server, *labels: tuple[str, str], model: str = MODEL) -> tuple[int, dict[str, Any]]:
    content = {"labels": [{"prediction_id": name, "label": label} for name, label in labels]}
    answer = server.post(f"/v1/models/{model}/feedback", content)
    return answer.status_code, answer.json()


def told(server: Server, name: str, **labels: str) -> float | None:
    return value(parsed(server.client.get("/metrics").text), name, **labels)


def test_a_batch_with_a_label_that_is_no_class_is_refused_whole_and_by_name(server: Server) -> None:
    assert [told(server, name, model=MODEL) for name in ("labels_refused_total", "repeated_ids_total")] == [0, 0]
    server.infer(MODEL, id="p0")
    for wrong, named in (
        ("banana", "'banana'"),
        ("LATE", "'LATE'"),
        ("1", "'1'"),
        ("late ", "'late '"),
        ("la\0te", r"'la\x00te'"),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("x" * 5_000_000, f"'{'x' * 37}...{'x' * 38}'"),
    ):
        status, refusal = feedback(server, ("p0", "late"), ("p0", wrong))
        assert (status, refusal["code"]) == (400, "invalid_labels")
        assert refusal["error"] == (
            f"1 of 2 labels are not classes of 'judged': {named}; its classes are 'late', 'on_time'; "
            "nothing of this batch is recorded: mend it and send it again"
        )
    many = [("p0", str(number % 14)) for number in range(9_000)]
    status, refusal = feedback(server, *many)
    assert (status, len(refusal["error"]) < 300) == (400, True)
    assert "9000 of 9000 labels are not classes of 'judged': '0', '1', '2'," in refusal["error"]
    assert "'9' and 4 more; its classes are" in refusal["error"]
    assert told(server, "labels_refused_total", model=MODEL) == 9_007
    assert told(server, "labels_total", model=MODEL, outcome="first") == 0

    server.flush()
    only = {"accepted": 1, "corrections": 0, "pending": 0, "unknown": []}
    assert feedback(server, ("p0", "on_time")) == (200, only), "the first"
    assert told(server, "labelled_total", model=MODEL, version="1.0.0", role="champion", label="on_time",
                prediction="late", correct="false") == 1  # fmt: skip


def test_one_id_for_all_requests_is_counted_and_has_one_label(server: Server, models: Models) -> None:
    for delay in (40.0, 0.0, 0.0):
        assert server.infer(MODEL, id="1", delay=delay).status_code == 200
    assert server.infer(OTHER, id="1", delay=0.0).status_code == 200
    both = {"accepted": 2, "corrections": 0, "pending": 0, "unknown": []}
    assert feedback(server, ("1", "late"), ("1", "late"))[1] == both
    assert feedback(server, ("1", "on_time"), model=OTHER)[1]["accepted"] == 1
    server.flush()
    eventually(lambda: told(server, "repeated_ids_total", model=MODEL) == 2)
    assert told(server, "repeated_ids_total", model=OTHER) == 0
    counts = {model: models.stores.rollups.events(model, *DAYS) for model in (MODEL, OTHER)}
    assert [
        (its.requests, its.labelled, its.wrong) for rows in counts.values() for its in (row.counts for row in rows)
    ] == [
        (3, 1, 0),
        (1, 1, 0),
    ]
    assert models.stores.log.get("1", MODEL)["prediction"] == "late"


def test_the_classes_of_every_version_that_was_loaded_here_are_known(models: Models, tmp_path: Path) -> None:
    noting, reading = (
        RegistryCache(tmp_path / "known.sqlite") for _ in range(2)
    )  # another worker loads, this one is told
    known = KnownTasks(reading)
    assert known.of(MODEL) is None
    first = models.stores.registry.get(MODEL, "1.0.0")
    noting.note_version(first)
    assert classes_of(known, MODEL) == {"late", "on_time"}
    later = SCHEMA.model_copy(update={"task": Classification(classes=("on_time", "late", "diverted"))})
    noting.note_version(replace(first, version="2.0.0", schema=later, stage=Stage.PRODUCTION))
    assert classes_of(known, MODEL) == {"late", "on_time", "diverted"}
    assert known.of(OTHER) is None
    noting.note_version(replace(first, version="3.0.0", schema=None))
    assert classes_of(known, MODEL) == {"late", "on_time", "diverted"}


def classes_of(known: KnownTasks, model: str) -> set[str]:
    task = known.of(model)
    assert task is not None
    return set(task.truths)


def test_a_model_without_known_classes_takes_any_label() -> None:
    check_labels("m", ["banana"], None)
    check_labels("m", ["late", "on_time"], SCHEMA.task)
    with pytest.raises(InvalidLabelsError) as refusal:
        check_labels("m", ["late", "banana", "banana"], SCHEMA.task)
    assert refusal.value.refused == 2
    assert "2 of 3 labels are not classes of 'm': 'banana';" in str(refusal.value)
