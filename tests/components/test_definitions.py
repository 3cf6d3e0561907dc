"""What the code location offers is a promise: keys, jobs, crons and sensors change only on purpose."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy  # no public name

from flights.definitions import defs

SNAPSHOT = Path(__file__).with_name("definitions.json")
EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


def described(definitions: dg.Definitions) -> dict[str, object]:
    repository = definitions.get_repository_def()
    return {
        "assets": {
            spec.key.to_user_string(): {
                "group": spec.group_name,
                "kinds": sorted(spec.kinds),
                "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
                "partitions": type(spec.partitions_def).__name__ if spec.partitions_def else None,
                "stale_after_hours": _stale_after(spec.freshness_policy),
            }
            for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key)
        },
        "checks": sorted(str(key.to_user_string()) for key in repository.asset_graph.asset_check_keys),
        "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        "schedules": {
            s.name: [s.cron_schedule, s.job_name] for s in sorted(repository.schedule_defs, key=lambda s: s.name)
        },
        "sensors": {
            s.name: [s.minimum_interval_seconds, sorted(target.job_name for target in s.targets)]
            for s in sorted(repository.sensor_defs, key=lambda s: s.name)
        },
    }


def _stale_after(policy: dg.FreshnessPolicy | None) -> list[float] | None:
    """Hours without a materialization after which Dagster warns, and after which it fails."""
    if policy is None:
        return None
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.warn_window is not None
    hour = timedelta(hours=1)
    return [policy.warn_window.to_timedelta() / hour, policy.fail_window.to_timedelta() / hour]


def test_definitions_are_as_promised() -> None:
    found = described(defs())
    if "UPDATE_SNAPSHOT" in os.environ:
        SNAPSHOT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text()), "meant? UPDATE_SNAPSHOT=1 pytest tests/components"


def test_every_asset_tells_a_person_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_dagster.loop.shown.assets._board", lambda: "https://board.example.com")
    for spec in defs().resolve_all_asset_specs():
        assert spec.metadata["control_room"].url == "https://board.example.com/models/flights-delay"
        assert spec.description, spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key


def test_loading_touches_nothing_and_imports_nothing_slow(tmp_path: Path) -> None:
    """A fresh process without secrets or network, whose home does not exist and is not made."""
    program = (
        "import sys, dagster as dg\n"
        "from flights.definitions import defs\n"
        "dg.Definitions.validate_loadable(defs())\n"
        "slow = {'great_expectations', 'sklearn', 'pandas', 'scipy.stats', 'duckdb', 'deltalake', 'skops'}\n"
        "slow |= {'fairlearn', 'matplotlib', 'whylogs', 'evidently', 'jinja2', 'opentelemetry.sdk'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    home = tmp_path / "home"
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=EXAMPLE,
        env={**os.environ, "MLOPS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
    assert not home.exists()
