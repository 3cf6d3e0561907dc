"""The daily job `retention` through Dagster: for all stores and Dagster's own history, but not for replayed traffic."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.components import Platform
from mlops_dagster.defs.retention import retention, retention_schedule
from mlops_dagster.reports import DAY
from mlops_dagster.retention import Kind
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores


def test_the_job_looks_at_every_model_and_the_schedule_leaves_replayed_traffic_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MLOPS_HOME", str(home))
    stores, platform = Stores(Settings(home=home)), Platform()
    (tmp_path / "model.onnx").write_text("weights")
    stores.registry.register("shop", tmp_path / "model.onnx")
    stores.profiles.put("shop/1.0.0/2013-03-01T05.bin", b"old")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert retention.execute_in_process(instance=instance, resources={"platform": platform}).success

        def asked() -> object:
            at = datetime(2026, 3, 1, 3, 30, tzinfo=UTC)
            with dg.build_schedule_context(
                instance=instance, scheduled_execution_time=at, resources={"platform": platform}
            ) as context:
                return retention_schedule(context)

        request = asked()
        assert isinstance(request, dg.RunRequest)
        assert request.run_key == "2026-03-01"
        monkeypatch.setenv("MLOPS_ACCEPT_EVENT_TIME", "true")
        assert isinstance(asked(), dg.SkipReason)
        failed = retention.execute_in_process(instance=instance, resources={"platform": platform}, raise_on_error=False)
        assert [event.step_key for event in failed.get_step_failure_events()] == ["old_records"], (
            "old runs go all the same"
        )
    assert stores.profiles.names("shop") == []
    assert [(each.kind, each.removed, each.actor) for each in stores.retention.passes()] == [("profiles", 1, "dagster")]
    since = stores.retention.since()["shop"][Kind.PAGES]
    assert abs(since - (datetime.now(UTC) - 31 * DAY)) <= DAY
