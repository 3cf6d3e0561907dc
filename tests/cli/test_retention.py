"""`mlops retention`: what is kept for how long, what would go, and a past that is refused once it has gone."""

import json
from datetime import UTC, datetime, timedelta

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.loop.judging.findings import VALIDATION, ValidatedHour
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import Mlops


def test_old_reports_go_and_a_time_of_which_they_are_gone_is_refused(fleet: ModelRegistry, mlops: Mlops) -> None:
    now = datetime.now(UTC)
    ages = (timedelta(days=200), timedelta(days=1))
    for made_at in (now - age for age in ages):
        reports = Stores(Settings(), ReplayedClock(made_at)).reports
        reports.save(VALIDATION, "churn", made_at - timedelta(hours=1), ValidatedHour(rows=9), verdict="passed")
    old, new = ((now - age).isoformat() for age in ages)
    assert mlops("reports", "list", "churn", "--at", old).exit_code == 0

    would = json.loads(mlops("retention", "apply", "churn", "--dry-run", "--json").stdout)
    assert would["removed"]["churn"]["hour_reports"] == 1
    assert json.loads(mlops("retention", "show", "churn", "--json").stdout)["passes"] == []
    gone = json.loads(mlops("retention", "apply", "--json").stdout)
    assert (gone["removed"]["churn"], gone["failed"]) == (would["removed"]["churn"], {})
    assert mlops("retention", "apply").stdout.endswith("nothing is old\n")

    shown = json.loads(mlops("retention", "show", "churn", "--json").stdout)
    (entry,) = shown["passes"]
    assert (entry["kind"], entry["models"], entry["removed"]) == ("hour_reports", 1, 1)
    assert shown["models"]["churn"]["policy"]["hour_reports_days"] == 123
    whole = datetime.fromisoformat(shown["models"]["churn"]["shown_since"])
    assert abs(whole - (now - timedelta(days=92))) <= timedelta(days=1)
    for command in (
        ["reports", "list", "churn"],
        ["reports", "show", "churn", "--kind", "validation"],
        ["board", "--json"],
    ):
        refused = mlops(*command, "--at", old)
        assert (refused.exit_code, f"before {whole:%Y-%m-%d} 00:00 UTC are not kept" in refused.stderr) == (1, True)
        assert "not_kept" in refused.stderr
        assert mlops(*command, "--at", new).exit_code == 0
    assert mlops("drift", "churn", "--reference", "2013-03-01", "--current", "1.0.0").stderr.count("not_kept") == 1
    assert "not_kept" in mlops("alerts", "list", "--at", "2013-03-01T00:00Z").stderr
