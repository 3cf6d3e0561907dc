"""Labels that come 45 days late: their days are reported on again, and the champion is judged by them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import RANGE_END, RANGE_START
from mlops_dagster.loop.judging.days_of_answers import AT_LEAST_EVERY, is_news
from tests.components.test_headline_floor import SPEC
from tests.support.components.at_a_time import DagsterAt, PlatformAt
from tests.support.two_versions import MARCH, MODEL, days, estimator, house_at, register, serve

SCHEDULE = "daily_performance_schedule"


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def at_noon(home: Path, instance: dg.DagsterInstance, day: int) -> list[tuple[str, str]]:
    """Run what the schedule asks for; returns the first and the last day of each run."""
    now = days(day + 0.5)
    dagster = DagsterAt(home, instance, now, SPEC)
    resources = {"platform": PlatformAt(home=str(home), now=now.isoformat())}
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=now, repository_def=dagster._repository, resources=resources
    ) as context:
        requests = dagster._repository.get_schedule_def(SCHEDULE).evaluate_tick(context).run_requests or ()
    for request in requests:
        assert dagster.run("daily_performance", tags=dict(request.tags)).success
    return [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in requests]


def said_of(instance: dg.DagsterInstance, day: datetime) -> dict[str, object]:
    chosen = dg.AssetRecordsFilter(asset_key=key_of(SPEC, "performance_report"), asset_partitions=[f"{day:%Y-%m-%d}"])
    made = instance.fetch_materializations(chosen, limit=1).records[0].asset_materialization
    assert made is not None
    return {name: value.value for name, value in made.metadata.items()}


def test_the_champion_is_judged_by_the_days_whose_labels_have_come(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """1.0.0 answers badly on 3 and 4 March; their labels come on 18 April, when all other days have none."""
    register(tmp_path, "1.0.0", estimator(0), trained_until=days(0.5), at=days(1), champion=True)
    for day in (2, 3, 40, 47):
        serve(tmp_path, days(day), 200, labelled=False)
    assert len(at_noon(tmp_path, instance, 48)) == 1
    before = said_of(instance, days(47))
    assert (before["floor"], before["judged_days"], before["unjudged_days"]) == ("inconclusive", 0, 4)
    (alert,) = house_at(tmp_path, days(48.5)).alerts.list(MODEL)
    assert (alert.rule, "if they come later, `labels: late`" in alert.summary) == ("too_few_labels", True)

    stores = house_at(tmp_path, days(48.9))
    labels = [(f"{days(day):%m%d%H}-{n}", "late", days(48.9)) for day in (2, 3) for n in range(200)]
    stores.spool.feedback(labels, model=MODEL)
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    stores.log.ship(stores.spool)
    asked = at_noon(tmp_path, instance, 49)
    assert asked == [("2013-04-18", "2013-04-18"), ("2013-03-03", "2013-03-04")], "no day between is made again"
    (old,) = said_of(instance, days(2))["versions"]  # type: ignore[misc]
    assert old["labelled"] == 200
    newest = said_of(instance, days(48))
    assert (newest["judged_until"], newest["judged_days"], newest["unjudged_days"]) == ("2013-03-04", 2, 2)
    assert (newest["floor_days"], newest["macro_f1_rows"]) == ("2013-03-03, 2013-03-04", 400)
    assert newest["floor"] == "retrain"
    assert {alert.rule for alert in stores.alerts.list(MODEL)} == {"accuracy_collapse", "headline"}

    # What Dagster shows is what was made last, old days made again: the report says so, and the checks say no less.
    shown = instance.get_latest_materialization_event(key_of(SPEC, "performance_report"))
    assert shown is not None
    assert shown.asset_materialization is not None
    assert shown.asset_materialization.partition == "2013-03-04"
    metadata = shown.asset_materialization.metadata
    assert list(metadata)[:2] == ["not_the_newest", "newest"]
    assert "2013-04-18" in str(metadata["not_the_newest"].value)
    assert metadata["newest"].value == "/assets/flights/performance_report?view=partitions&partition=2013-04-18"
    assert "not_the_newest" not in newest
    record = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key_of(SPEC, "performance_report"), "headline"), limit=1
    )[0]
    assert record.event is not None
    check = record.event.get_dagster_event().asset_check_evaluation_data
    assert (check.passed, check.metadata["floor_until"].value) == (False, newest["floor_until"])
    assert at_noon(tmp_path, instance, 50) == [("2013-04-19", "2013-04-19")]


@given(st.lists(st.integers(0, 400), min_size=60, max_size=400))
def test_a_day_whose_labels_trickle_in_is_not_made_again_for_ever(coming: list[int]) -> None:
    """`coming` is how many labels of one day come on each later day."""
    made, counted, labels = [MARCH], 0, 0
    for number, more in enumerate(coming, start=1):
        noon, labels = MARCH + timedelta(days=number), labels + more
        if is_news(counted, made[-1], labels, noon):
            counted = labels
            made.append(noon)
        assert labels - counted < max(0.05 * counted, 1) or noon - made[-1] < AT_LEAST_EVERY, "some are left out"
    early = [then for then, following in pairwise(made) if following - then < AT_LEAST_EVERY]
    assert len(made) - len(early) <= len(coming) / 7 + 2
    assert 1.05 ** max(len(early) - 2, 0) <= max(labels, 1), "each of these had a twentieth more"
