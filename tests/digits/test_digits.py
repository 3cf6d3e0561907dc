"""The second example: its code location, its trainer, and the stream of its demonstration."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from demo.load import Load
from demo.release import WithoutImputer
from demo.stream import LABEL_SECONDS, RATE, Stream
from digits import trainer
from mlops_dagster.components import Platform
from mlops_dagster.predictions import audit
from mlops_dagster.registry import Stage, to_html
from mlops_dagster.rehearsal.server import data_plane
from mlops_dagster.stores import Stores

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
TRAIN = """
import json, sys
import dagster as dg
from digits.definitions import defs
definitions = defs()
dg.Definitions.validate_loadable(definitions)
repository = definitions.get_repository_def()
trained = definitions.resolve_job_def("digits_retrain").execute_in_process(
    run_config={"ops": {"digits__training_set": {"config": {"as_of": sys.argv[1]}}}},
    instance=dg.DagsterInstance.ephemeral(),
)
json.dump({
    "success": trained.success,
    "jobs": sorted(job.name for job in repository.get_all_jobs()),
    "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
}, open(sys.argv[2], "w"))
"""


@pytest.fixture
def stores(home: Path) -> Stores:
    """Of that home."""
    return Platform(home=str(home)).stores()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the job digits_retrain has run, as from a shell in the example's folder."""
    home = tmp_path_factory.mktemp("digits")
    as_of = (SINCE + timedelta(days=12)).isoformat()
    subprocess.run(
        [sys.executable, "-c", TRAIN, as_of, str(home / "found.json")],
        cwd=EXAMPLE,
        env={**os.environ, "MLOPS_HOME": str(home), "MLOPS_PARTITIONS_START": f"{SINCE:%Y-%m-%d}"},
        check=True,
        capture_output=True,
    )
    return home


def test_a_project_of_its_own_offers_what_the_platform_has_for_a_model(home: Path) -> None:
    found = json.loads((home / "found.json").read_text())
    assert found["success"]
    assert {"digits_retrain", "promote", "rollback", "rollout_by_hand", "hourly_monitoring"} <= set(found["jobs"])
    assert {"limits", "rollouts", "retraining"} <= set(found["sensors"])


def test_its_first_version_passes_the_gates_with_ten_classes_and_an_attribute_that_is_no_feature(
    stores: Stores,
) -> None:
    (version,) = stores.registry.list("digits")
    assert stores.registry.closed_gates(version) == ()
    assert version.schema is not None
    assert version.card is not None
    assert version.schema.task.truths == tuple("0123456789")
    assert "ink" not in version.schema.names
    (audited,) = version.card.fairness
    assert set(audited.groups) == {"pale", "bold"}
    assert audited.max_gap is not None
    assert len(to_html(version.card, baseline=version.baseline)) < 1_000_000


def test_the_load_is_of_its_rate_and_every_request_of_it_is_answered_labelled_and_logged(
    home: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.stream.LABEL_SECONDS", (0.2, 0.6))
    (version,) = stores.registry.list("digits")
    stores.registry.transition(version, Stage.PRODUCTION)
    seconds = 3
    with data_plane(home, replayed=False) as address:
        while not any(seen.epoch for seen in stores.registry.acknowledgements("digits")):
            time.sleep(0.05)
        begun = time.monotonic()
        with Load("digits", address, Stream()) as load:
            time.sleep(seconds)
        served = time.monotonic() - begun
        found = audit(stores.spool, stores.log, stores.rollups)
    assert seconds * RATE * 0.8 <= load.requests <= served * RATE
    assert load.answered_by == {"1.0.0": load.requests}
    assert (found.answered, found.logged, load.labelled) == (load.requests,) * 3
    assert found.complete
    since = datetime.now(UTC) - timedelta(minutes=5)
    rows = stores.log.labelled("digits", since, since + timedelta(minutes=10))
    right = np.mean([row["prediction"] == row["label"] for row in rows.to_pylist()])
    assert 0.8 < right < 1  # nobody trained on these images


def test_the_stream_is_that_of_its_seed() -> None:
    one, other, third = Stream(7), Stream(7), Stream(8)
    sheets = one.take(700)
    assert sheets == [sheet for count in (1, 0, 499, 200) for sheet in other.take(count)]
    assert sheets != third.take(700)
    low, high = LABEL_SECONDS
    delays = [sheet.label_after for sheet in sheets]
    assert low <= min(delays) < low + 0.5
    assert high - 0.5 < max(delays) <= high
    assert {sheet.digit for sheet in sheets} == set(trainer.SCHEMA.task.truths)


def test_the_traffic_is_of_images_that_nobody_trained_on() -> None:
    archive, unseen = ({image.tobytes() for image in half()[0]} for half in (trainer.archive, trainer.unseen))
    assert not archive & unseen
    assert len(archive) + len(unseen) == 1797


def test_only_the_bad_release_cannot_read_a_blank_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PARTITIONS_START", f"{SINCE:%Y-%m-%d}")
    columns = list(trainer.PIXELS)
    rows = trainer.training_set(SINCE, SINCE + timedelta(days=29))
    assert len(rows) == len(rows[columns].drop_duplicates()) == 870
    good, bad = (chosen.estimator().fit(rows[columns], rows["label"]) for chosen in (trainer, WithoutImputer()))
    stream = Stream()
    whole, stream.blank_share = stream.take(1_000), 0.05
    sheets = stream.take(1_000)
    assert not any(sheet.blank for sheet in whole)
    blank = [sheet for sheet in sheets if sheet.blank]
    assert 30 <= len(blank) <= 70
    images = pd.DataFrame(
        [orjson.loads(sheet.body)["inputs"][0]["data"] for sheet in blank], columns=columns, dtype="float64"
    )
    assert np.mean(good.predict_proba(images).argmax(axis=1) == [int(sheet.digit) for sheet in blank]) > 0.8
    with pytest.raises(ValueError, match="NaN"):
        bad.predict_proba(images)
