import os
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.rehearsal.orchestrator.event_log import PooledEventLogStorage
from mlops_dagster.rehearsal.orchestrator.instance import dagster_instance, environment, only_settings
from mlops_dagster.settings import Settings

HOURLY = dg.HourlyPartitionsDefinition("2013-03-01-00:00", end_date="2013-03-03-00:00")
KEY = dg.AssetKey(["some_model", "batch"])


@dg.asset(
    key=KEY,
    partitions_def=HOURLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("sound", asset=KEY)],
)
def batch(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    for number, key in enumerate(context.partition_keys):
        context.add_asset_metadata({"rows": number}, partition_key=key)
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="sound", passed=False)])


def run_a_day(instance: dg.DagsterInstance, day: int) -> None:
    job = dg.Definitions(assets=[batch]).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": f"2013-03-{day:02}-00:00",
            "dagster/asset_partition_range_end": f"2013-03-{day:02}-23:00",
        },
    )
    assert result.success


def test_dagster_itself_reads_what_the_pooled_event_log_wrote_and_goes_on(tmp_path: Path) -> None:
    with dagster_instance(tmp_path / "dagster") as instance:
        assert isinstance(instance.event_log_storage, PooledEventLogStorage)
        run_a_day(instance, 1)
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as plain:
        assert not isinstance(plain.event_log_storage, PooledEventLogStorage)
        assert len(plain.get_materialized_partitions(KEY)) == 24
        newest = plain.get_latest_materialization_event(KEY)
        assert newest is not None
        assert newest.asset_materialization is not None
        assert newest.asset_materialization.metadata["rows"].value == 23
        (run,) = plain.get_runs()
        checks = plain.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        assert [entry.get_dagster_event().asset_check_evaluation_data.passed for entry in checks] == [False]
        run_a_day(plain, 2)
        assert len(plain.get_materialized_partitions(KEY)) == 48


def test_more_runs_than_open_databases(tmp_path: Path) -> None:
    with dagster_instance(tmp_path / "dagster") as instance:
        for _ in range(6):
            run_a_day(instance, 1)
        counts = [len(instance.all_logs(run.run_id)) for run in instance.get_runs()]
    assert len(counts) == 6
    assert len(set(counts)) == 1
    assert counts[0] > 48


def test_dagster_home_is_the_rehearsals_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/somewhere")
    with dagster_instance(tmp_path / "dagster"):
        assert os.environ["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert os.environ["DAGSTER_HOME"] == "/somewhere"
    with environment(MLOPS_SOMETHING="x"):
        assert os.environ["MLOPS_SOMETHING"] == "x"
    assert "MLOPS_SOMETHING" not in os.environ


def test_a_rehearsal_reaches_nothing_that_the_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "MLFLOW_URL"):
        monkeypatch.setenv(f"MLOPS_{name}", "of the company")
    monkeypatch.setenv("MLOPS_TRIAL_SECONDS", "7")
    with only_settings(MLOPS_HOME=str(tmp_path)):
        settings = Settings()
        assert settings.trial_seconds == 7, "what a model needs to be taken is as it is here"
        assert settings.home == tmp_path
        assert (settings.database_url, settings.storage_url, settings.mlflow_url) == (None, None, None)
    assert Settings().database_url == "of the company"
