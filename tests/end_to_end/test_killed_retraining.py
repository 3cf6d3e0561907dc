"""A retraining whose process is killed, under the real `dagster dev`: it comes again, and somebody is told."""

import os
import signal
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.alerting import Severity
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import PROJECT, Orchestrator, dagster_dev
from tests.support.components.reaction import MODEL, register
from tests.support.serving.data_plane import eventually

pytestmark = pytest.mark.timeout(450)

DEFS = "live/defs/model/defs.yaml"
FILES = {
    "live/defs/resources.py": (
        "import dagster as dg\n"
        "from mlops_dagster.defs import resources\n"
        "shared = dg.Definitions(resources=resources.shared.resources)\n"
    ),
    # The first time it says which process it is, and never ends.
    "live/trainer.py": """\
import os, time
from pathlib import Path
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.support.serving.data_plane import SCHEMA, make_frame

def training_set(start, end):
    victim = Path(os.environ["MLOPS_HOME"]) / "victim"
    if not victim.exists():
        victim.with_suffix(".tmp").write_text(str(os.getpid()))
        victim.with_suffix(".tmp").rename(victim)
        time.sleep(3600)
    frame = pd.concat([make_frame(SCHEMA)] * 3, ignore_index=True)
    late = np.where(frame["delay"] > 15, "late", "on_time")
    return frame.assign(label=late, event_time=[start + (end - start) / len(frame) * n for n in range(len(frame))])

def estimator():
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough")
    return make_pipeline(encode, LogisticRegression(max_iter=1000))
""",
    DEFS: PROJECT[DEFS].replace("live.definitions", "live.trainer").replace("cadence: null", "cadence: weekly"),
}


def test_it_comes_again_and_somebody_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    stores.registry.transition(register(stores, "1.0.0", unknown="ignore"), Stage.PRODUCTION)
    victim = stores.settings.home / "victim"
    began = time.monotonic()

    def told(what: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {time.monotonic() - began:5.1f} s  {what}")

    (tmp_path / "project").mkdir()
    with dagster_dev(tmp_path / "project", stores.settings.home, FILES) as orchestrator:
        told("dagster dev is up")
        eventually(victim.exists, seconds=180)
        told("the retraining runs")
        os.kill(int(victim.read_text()), signal.SIGKILL)
        again = eventually(lambda: ended(orchestrator), seconds=60)
        told("the second run has ended")
        assert again.is_success
        (alert,) = eventually(lambda: stores.alerts.list(MODEL, resolved=True), seconds=60)
        told(f"somebody was told: {alert.summary}")
        eventually(lambda: not stores.alerts.list(MODEL), seconds=60)
        again, killed = orchestrator.instance.get_runs(dg.RunsFilter(job_name="live_retrain"))
    assert (alert.rule, alert.severity, alert.times) == ("retraining_failed", Severity.WARNING, 1)
    assert "SIGKILL" in alert.summary
    assert (alert.done, alert.evidence["run"]) == ("launched again, 1 of 2", killed.run_id)
    # the same retraining: its trigger, its numbers, its time
    assert (killed.status, again.tags["dagster/retry_number"]) == (dg.DagsterRunStatus.FAILURE, "1")
    for tag in ("mlops/trigger", "mlops/reason", "mlops/due", "dagster/run_key"):
        assert again.tags[tag] == killed.tags[tag]
    assert again.run_config == killed.run_config
    # and one in the budget
    made = [version for version in stores.versions(MODEL) if "dagster_run" in version.lineage]
    assert [version.lineage["dagster_run"] for version in made] == [again.run_id]
    # of one code location, whose sensor and whose runs are processes of their own
    published = [event for event in stores.registry.history(MODEL) if event.kind == "policies"]
    assert [event.evidence["location"] for event in published] == ["live.definitions"]


def ended(orchestrator: Orchestrator) -> dg.DagsterRun | None:
    runs = orchestrator.instance.get_runs(dg.RunsFilter(job_name="live_retrain"))
    return runs[0] if len(runs) > 1 and runs[0].is_finished else None
