"""Catching up: every asset gets every partition, newest first, and none waits for, or runs again with, another's."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._cli import create_dagster_cli  # no public name
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.jobs.reports import reports_defs
from mlops_dagster.components.partitions import CADENCE, HOURLY, RANGE_END, RANGE_START
from mlops_dagster.defs.old_runs import delete_old_runs
from mlops_dagster.loop.judging.catching_up import LONGEST_RUN, Stretch, due, stretches
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.at_a_time import PlatformAt
from tests.support.predictions.records import MARCH, a_record

OLD, NEW = (dg.AssetKey([model, "prediction_batch"]) for model in ("old", "new_one"))
Made = dict[dg.AssetKey, set[int]]


def names(hours: Iterator[int] | range) -> list[str]:
    return [f"{hour:05}" for hour in hours]


def simulated(
    first: Mapping[dg.AssetKey, int],
    made: Made,
    hours: range,
    fails: Callable[[dg.AssetKey, range], bool] = lambda _asset, _hours: False,
) -> Iterator[list[Stretch[dg.AssetKey]]]:
    """What is asked for at the end of each hour; it is done before the next, or fails."""
    failures: Counter[tuple[dg.AssetKey, str]] = Counter()
    for now in hours:
        every = names(range(now))
        lacking = {key: [f"{n:05}" for n in range(since, now) if n not in made[key]] for key, since in first.items()}
        asked = due(stretches(every, lacking, failures), every[-1])
        for each in asked:
            over = range(int(each.first), int(each.last) + 1)
            for key in each.assets:
                assert not made[key] & set(over), "made once more"
                if fails(key, over):
                    failures.update((key, name) for name in names(over))
                else:
                    made[key] |= set(over)
        yield asked


def test_a_newcomer_gets_its_history_beside_a_model_that_has_all() -> None:
    days = 100 * 24
    made: Made = {OLD: set(range(days)), NEW: set()}
    ticks = list(simulated({OLD: 0, NEW: 0}, made, range(days + 1, days + 6)))
    for now, (newest, *older) in enumerate(ticks, start=days):
        assert (int(newest.first), int(newest.last), newest.assets) == (now, now, {OLD, NEW})
        assert all(each.assets == {NEW} for each in older)
    lengths = [int(each.last) - int(each.first) + 1 for _newest, *older in ticks for each in older]
    assert lengths == [LONGEST_RUN, LONGEST_RUN, LONGEST_RUN, days - 3 * LONGEST_RUN]
    assert made[NEW] == made[OLD] == set(range(days + 5))


def test_one_bad_hour_in_a_month_is_soon_alone_and_holds_up_nothing() -> None:
    made: Made = {OLD: set(range(2000)), NEW: set()}
    bad = 1700
    ticks = list(simulated({OLD: 0, NEW: 0}, made, range(2001, 2030), lambda key, over: key == NEW and bad in over))
    assert made[OLD] == set(range(2029))
    assert set(range(2029)) - made[NEW] == {bad}
    for now, asked in enumerate(ticks, start=2000):
        assert {key for each in asked if int(each.last) == now for key in each.assets} == {OLD, NEW}
        assert sum(int(each.last) != now for each in asked) <= 1
    *new, old = ticks[-1]
    assert [each.assets for each in new] == [{OLD}, {NEW}]
    assert (old.first, old.last) == ("01700", "01700")  # tried again, when there is nothing else


def test_a_model_that_is_broken_for_hours_makes_up_for_them_once_it_is_repaired() -> None:
    made: Made = {OLD: set(), NEW: set()}
    for _ in simulated({OLD: 0, NEW: 0}, made, range(1, 40), lambda key, over: key == NEW and over[-1] >= 10):
        assert made[OLD]  # every hour, and never twice
    assert (made[OLD], made[NEW]) == (set(range(39)), set(range(10)))
    for _ in simulated({OLD: 0, NEW: 0}, made, range(40, 42)):
        pass
    assert made[NEW] == set(range(41))


@given(
    st.dictionaries(st.sampled_from([OLD, NEW, dg.AssetKey("third")]), st.sets(st.integers(0, 19))),
    st.dictionaries(st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 19)), st.integers(1, 6)),
    st.integers(1, 20),
)
def test_all_that_is_lacking_is_asked_for_once_and_nothing_else(
    lacking: dict[dg.AssetKey, set[int]], failures: dict[tuple[dg.AssetKey, int], int], longest: int
) -> None:
    found = stretches(
        names(range(20)),
        {key: names(iter(hours)) for key, hours in lacking.items()},
        {(key, f"{hour:05}"): times for (key, hour), times in failures.items()},
        longest,
    )
    asked = [
        (key, hour) for each in found for key in each.assets for hour in range(int(each.first), int(each.last) + 1)
    ]
    assert sorted(asked) == sorted((key, hour) for key, hours in lacking.items() for hour in hours)
    for each in found:
        assert int(each.last) - int(each.first) < max(longest >> each.failures, 1)
    for one, following in pairwise(found):
        was, then = ((each.last != "00019", each.failures) for each in (one, following))
        assert was < then or (was == then and one.last >= following.last)


class Fleet:
    """The fleet's own job and schedule, over assets that count what they make and fail when they are told to."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.stores = Stores(Settings(home=home), ReplayedClock(MARCH), actor="test")
        self.instance = instance
        self.broken: set[str] = set()
        self.made: Counter[tuple[str, str]] = Counter()

    def begins(self, model: str, hour: int) -> None:
        """It is registered, and answers its first request in that hour."""
        artifact = self.stores.settings.home / "model.onnx"
        artifact.write_text(model)
        self.stores.registry.register(model, artifact, "1.0.0")
        self.stores.spool.append([a_record(60 * hour + 30, prediction_id=f"{model}-{hour}", model=model)])
        self.stores.rollups.catch_up(self.stores.spool, lambda _model, _version: None)

    def asset(self, key: dg.AssetKey) -> dg.AssetsDefinition:
        @dg.asset(
            key=key,
            tags={CADENCE: "hourly_monitoring"},
            partitions_def=HOURLY.partitions(),
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def made_hour(context: dg.AssetExecutionContext) -> None:
            if key.path[0] in self.broken:
                raise RuntimeError("broken")
            self.made.update((key.path[0], hour) for hour in context.partition_keys)

        return made_hour

    def tick(self, hour: int) -> list[dg.RunRequest] | str:
        """What the schedule asks for five minutes after the hour."""
        at = MARCH + timedelta(hours=hour, minutes=5)
        resources = {"platform": PlatformAt(home=str(self.stores.settings.home), now=at.isoformat())}
        assets = dg.Definitions(
            assets=[self.asset(OLD), self.asset(NEW)], resources=resources, executor=dg.in_process_executor
        )
        self.repository = dg.Definitions.merge(assets, reports_defs([])).get_repository_def()
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=at,
            repository_def=self.repository,
            resources=resources,
        ) as context:
            ticked = self.repository.get_schedule_def("hourly_monitoring_schedule").evaluate_tick(context)
        return list(ticked.run_requests or ()) or str(ticked.skip_message)

    def launch(self, request: dg.RunRequest) -> bool:
        """Whether it succeeds."""
        return (
            self.repository.get_job("hourly_monitoring")
            .execute_in_process(
                instance=self.instance,
                asset_selection=request.asset_selection,
                tags=dict(request.tags),
                raise_on_error=False,
            )
            .success
        )

    def hour(self, hour: int) -> list[tuple[str, str, list[str], bool]]:
        """One tick and its runs: first and last hour, models, success."""
        asked = self.tick(hour)
        assert isinstance(asked, list), asked
        return [(*described(each), self.launch(each)) for each in asked]


def described(request: dg.RunRequest) -> tuple[str, str, list[str]]:
    first, last = (request.tags[tag].removeprefix("2013-03-").removeprefix("2013-") for tag in (RANGE_START, RANGE_END))
    return first, last, [key.path[0] for key in request.asset_selection or ()]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    home = tmp_path / "home"
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Fleet(home, instance)


BOTH = ["new_one", "old"]


def test_a_fleet_in_step_is_one_run_an_hour_and_a_gap_is_one_run(fleet: Fleet) -> None:
    assert fleet.tick(0) == "no predictions yet"
    fleet.begins("old", 0)
    fleet.begins("new-one", 0)
    assert fleet.tick(0) == "nothing is missing"
    assert fleet.hour(1) == [("01-00:00", "01-00:00", BOTH, True)]
    assert fleet.tick(1) == "nothing is missing"
    assert fleet.hour(2) == [("01-01:00", "01-01:00", BOTH, True)]
    assert fleet.hour(9) == [("01-02:00", "01-08:00", BOTH, True)]
    assert set(fleet.made.values()) == {1}


def test_a_fleet_on_many_machines_is_many_runs(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_REPORT_RUNS", "5")
    fleet.begins("old", 0)
    fleet.begins("new-one", 0)
    asked = fleet.tick(1)
    assert [described(each)[2] for each in asked] == [["new_one"], ["old"]]
    assert len({each.run_key for each in asked}) == 2


def test_a_newcomer_is_asked_for_its_own_hours_only(fleet: Fleet) -> None:
    """The run of each newest hour is that of the fleet; none is late, and none made again."""
    fleet.begins("old", 0)
    assert fleet.hour(8) == [("01-00:00", "01-07:00", ["old"], True)]
    fleet.begins("new-one", 3)
    newest, older = fleet.tick(9)
    assert isinstance(newest, dg.RunRequest)
    assert isinstance(older, dg.RunRequest)
    assert [described(newest), described(older)] == [
        ("01-08:00", "01-08:00", BOTH),
        ("01-03:00", "01-07:00", ["new_one"]),
    ]
    assert [each.tags.get("dagster/priority") for each in (newest, older)] == [None, "-1"]
    assert fleet.launch(newest)
    assert fleet.launch(older)
    assert fleet.tick(9) == "nothing is missing"
    assert set(fleet.made.values()) == {1}
    assert len(fleet.made) == 9 + 6


def test_a_broken_model_runs_by_itself_until_it_is_repaired(fleet: Fleet) -> None:
    fleet.begins("old", 0)
    fleet.begins("new-one", 0)
    fleet.broken = {"new_one"}
    assert fleet.hour(1) == [("01-00:00", "01-00:00", BOTH, False)]  # when nobody knew
    assert fleet.hour(2) == [
        ("01-01:00", "01-01:00", ["old"], True),
        ("01-01:00", "01-01:00", ["new_one"], False),
        ("01-00:00", "01-00:00", ["new_one"], False),
    ]
    assert fleet.made == {("old", f"2013-03-01-0{hour}:00"): 1 for hour in (0, 1)}
    fleet.broken = set()
    for hour in (3, 4):
        fleet.hour(hour)
    assert fleet.hour(5) == [("01-04:00", "01-04:00", BOTH, True)]
    assert fleet.made == {(model, f"2013-03-01-0{hour}:00"): 1 for hour in range(5) for model in BOTH}


def test_runs_that_are_deleted_leave_nothing_and_no_hour_over_31_days_old_is_asked_for_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.begins("old", 0)
    assert fleet.hour(30) == [("01-00:00", "02-05:00", ["old"], True)]
    (run,) = fleet.instance.get_runs()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert delete_old_runs(fleet.instance, tomorrow - timedelta(days=2)) == 0
    assert [delete_old_runs(fleet.instance, tomorrow, dry_run=dry) for dry in (True, False)] == [1, 1]
    assert fleet.instance.get_runs() == []
    assert not [file for file in tmp_path.rglob("*") if run.run_id in file.name]
    with closing(sqlite3.connect(tmp_path / "history" / "runs" / "index.db")) as events:
        for table in ("event_logs", "asset_check_executions"):
            assert events.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
    assert fleet.instance.get_materialized_partitions(OLD) == set()

    for hour, first, last in ((31 * 24 + 10, "01-10:00", "04-01-09:00"), (40 * 24, "10-00:00", "04-09-23:00")):
        asked = fleet.tick(hour)
        assert isinstance(asked, list)
        assert [described(each) for each in asked] == [(first, last, ["old"])]


@pytest.mark.parametrize("waiting", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_what_is_being_made_is_not_asked_for_again(fleet: Fleet, waiting: dg.DagsterRunStatus) -> None:
    fleet.begins("old", 0)
    fleet.begins("new-one", 0)
    asked = fleet.tick(4)
    assert isinstance(asked, list)
    (request,) = asked
    run = fleet.instance.create_run_for_job(
        fleet.repository.get_job("hourly_monitoring").get_subset(asset_selection={OLD}),
        tags=dict(request.tags),
        status=waiting,
        asset_selection=frozenset({OLD}),
    )
    assert [described(each) for each in fleet.tick(5)] == [  # type: ignore[arg-type]  # not a word
        ("01-04:00", "01-04:00", BOTH),
        ("01-00:00", "01-03:00", ["new_one"]),
    ]
    by_hand = fleet.instance.create_run_for_job(  # of the whole job, for one hour
        fleet.repository.get_job("hourly_monitoring"), tags={"dagster/partition": "2013-03-01-04:00"}, status=waiting
    )
    assert [described(each) for each in fleet.tick(5)] == [("01-00:00", "01-03:00", ["new_one"])]  # type: ignore[arg-type]
    for ended in (run, by_hand):
        fleet.instance.report_run_canceled(ended)
    for hour in range(6, 10):
        fleet.hour(hour)
    assert fleet.made == {(model, f"2013-03-01-0{hour}:00"): 1 for hour in range(9) for model in BOTH}


def test_a_range_by_hand_is_one_run_of_the_assets_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = [dg.AssetKey(["flights_delay", name]) for name in ("prediction_batch", "drift_report")]
    command = ["asset", "materialize", "-m", "flights.definitions"]
    command += ["--select", ",".join(key.to_user_string() for key in assets)]
    command += ["--partition-range", "2013-03-01-00:00...2013-03-01-04:00"]
    home = {"MLOPS_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(tmp_path)}
    monkeypatch.chdir(Path(__file__).parents[2] / "examples" / "flights")
    asked = CliRunner().invoke(create_dagster_cli(), command, env=home)
    assert asked.exit_code == 0, asked.output
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        (run,) = instance.get_runs()
        made = [instance.get_materialized_partitions(key) for key in assets]
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert made == [{f"2013-03-01-0{hour}:00" for hour in range(5)}] * 2
