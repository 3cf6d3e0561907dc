"""A retraining whose process is killed, under the real `dagster dev`: it comes again, and somebody is told."""

import os
import signal
import sys
import time

import dagster as dg
import pytest

from mlops_dagster.alerting import Severity
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import Orchestrator
from tests.support.components.two_models import RETRAINED
from tests.support.serving.data_plane import eventually

pytestmark = pytest.mark.timeout(300)

JOB = f"{RETRAINED}_retrain"


def test_it_comes_again_and_somebody_is_told(
    stores: Stores, orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = stores.settings.home / "victim"
    began = time.monotonic()

    def told(what: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {time.monotonic() - began:5.1f} s  {what}")

    eventually(victim.exists, seconds=90)
    told("the retraining runs")
    os.kill(int(victim.read_text()), signal.SIGKILL)
    again = eventually(lambda: ended(orchestrator), seconds=60)
    told("the second run has ended")
    assert again.is_success
    (alert,) = eventually(lambda: stores.alerts.list(RETRAINED, resolved=True), seconds=60)
    told(f"somebody was told: {alert.summary}")
    eventually(lambda: not stores.alerts.list(RETRAINED), seconds=60)
    again, killed = orchestrator.instance.get_runs(dg.RunsFilter(job_name=JOB))
    assert (alert.rule, alert.severity, alert.times) == ("retraining_failed", Severity.WARNING, 1)
    assert "SIGKILL" in alert.summary
    assert (alert.done, alert.evidence["run"]) == ("launched again, 1 of 2", killed.run_id)
    # the same retraining: its trigger, its numbers, its time
    assert (killed.status, again.tags["dagster/retry_number"]) == (dg.DagsterRunStatus.FAILURE, "1")
    for tag in ("mlops/trigger", "mlops/reason", "mlops/due", "dagster/run_key"):
        assert again.tags[tag] == killed.tags[tag]
    assert again.run_config == killed.run_config
    # and one in the budget
    made = [version for version in stores.versions(RETRAINED) if "dagster_run" in version.lineage]
    assert [version.lineage["dagster_run"] for version in made] == [again.run_id]
    # of one code location, whose sensor and whose runs are processes of their own
    published = [event for event in stores.registry.history(RETRAINED) if event.kind == "policies"]
    assert [event.evidence["location"] for event in published] == ["live.definitions"]


def ended(orchestrator: Orchestrator) -> dg.DagsterRun | None:
    runs = orchestrator.instance.get_runs(dg.RunsFilter(job_name=JOB))
    return runs[0] if len(runs) > 1 and runs[0].is_finished else None
