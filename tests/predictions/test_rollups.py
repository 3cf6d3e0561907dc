from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions import (
    Answered,
    ArmEvents,
    BothScored,
    Cohort,
    EventCounts,
    Failures,
    LabelDebt,
    Pair,
    PairedCounts,
    PredictionLog,
    RefusedCounts,
    Rollups,
    ServedBy,
    ShedCounts,
    ShedRecord,
    Totals,
    arm_cohorts,
    awaiting_by_hour,
    awaiting_by_minute,
    failures_by_hour,
    hours_by_version,
    latency_by_hour,
    latency_by_version,
    requests_by_model,
    summarize,
    totals_by_day,
    totals_by_model,
)
from mlops_dagster.statistics import CategoricalBins, NumericBins

CHAMPION = Answered("1.0.0", "champion", "ok")

BINS = {
    "hour": NumericBins((6.0, 12.0, 18.0)),
    "carrier": CategoricalBins(("AA", "UA")),
    "score": NumericBins((0.5,)),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path) -> str:
    return (
        f"sqlite:///{tmp_path}/rollups.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")
    )


@pytest.fixture
def rollups(database) -> Iterator[Rollups]:
    rollups = Rollups(database)
    yield rollups
    rollups.close()


def no_bins(_model, _version):
    return None


def with_bins(_model, _version):
    return BINS


def days(number: int) -> timedelta:
    return timedelta(days=number)


def paired(rollups, champion, challenger, since, until):
    (outcomes,) = Pair("flights", champion, challenger).outcomes(rollups, [since], until)
    return outcomes


def events(rollups, since, until):
    return [(each.role, each.counts) for each in rollups.events("flights", since, until)]


def test_one_prediction_from_request_to_label(spool, rollups, record, march):
    spool.append(
        [
            record(61, key="N1", unit="u", weight=0.9, latency_ms=250.0),
            record(
                61,
                key="N1",
                unit="u",
                role="paired",
                version="1.1.0",
                weight=0.1,
                prediction="on_time",
                beside=CHAMPION,
            ),
            record(61, key="N1", unit="u", role="shadow", version="1.2.0", weight=0.1, beside=CHAMPION),
        ]
    )
    spool.feedback([("p61", "on_time", march + timedelta(hours=3))], model="flights")
    assert rollups.catch_up(spool, with_bins) == 4

    one = EventCounts(requests=1, rows=1, labelled=1)
    assert rollups.events("flights", march, march + days(1)) == [
        ArmEvents(
            "1.0.0",
            "champion",
            0.9,
            one + EventCounts(slow=1, bad_slow=1, wrong=1, units=1, unit_labels=1, bad_wrong=1),
        ),
        ArmEvents("1.1.0", "paired", 0.1, one),
        ArmEvents("1.2.0", "shadow", 0.1, one + EventCounts(wrong=1)),
    ]
    # All is found by the minute of the request, whenever its label came.
    minute = timedelta(minutes=1)
    at = march + 61 * minute
    assert rollups.events("flights", at + minute, at + days(1)) == rollups.events("flights", march, at) == []
    assert paired(rollups, "1.0.0", "1.1.0", at, at + minute) == {"on_time": PairedCounts(1, 0, 0)}
    assert paired(rollups, "1.0.0", "1.2.0", at, at + minute) == {"on_time": PairedCounts(0, 0, 1)}
    assert paired(rollups, "1.0.0", "1.1.0", at + minute, at + days(1)) == {}
    assert paired(rollups, "1.0.0", "1.1.0", march, at) == {}
    cohort = {march + timedelta(minutes=60): Cohort(1, 1)}
    assert Pair("flights", "1.0.0", "1.1.0").cohorts(rollups, march, march + days(1)) == cohort
    assert arm_cohorts(rollups, "flights", "1.0.0", march, march + days(1)) == cohort
    assert arm_cohorts(rollups, "flights", "1.1.0", march, march + days(1)) == {}
    (both,) = Pair("flights", "1.0.0", "1.1.0").both_scored(rollups, [march], march + days(1))
    assert both == BothScored(1)
    counts = rollups.feature_counts("flights", ["1.0.0"], march, march + days(1))
    assert {name: cells.tolist() for name, cells in counts.items()} == {
        "hour": [0, 0, 0, 1, 0],  # 61 % 24 = 13
        "carrier": [0, 0, 1, 0],
        "score": [0, 0, 1],
    }
    assert rollups.confusion("flights", "1.0.0", march, march + days(1)) == {("on_time", "late"): 1}
    assert rollups.label_counts("flights", march, march + days(1)) == {"on_time": 1}
    assert rollups.latency("flights", "1.0.0", march, march + days(1)).p99 == pytest.approx(250, rel=0.025)
    assert rollups.latency("flights", "1.2.0", march, march + days(1)) is None
    assert rollups.first_at("flights") == at


def test_where_the_canary_answered_the_paired_row_is_the_champion(spool, rollups, record, march):
    canary, named = Answered("1.1.0", "canary", "ok"), Answered("1.1.0", "named", "ok")
    spool.append(
        [
            record(0, unit="a", role="canary", version="1.1.0", weight=0.1),
            record(0, unit="a", role="paired", version="1.0.0", weight=0.1, prediction="on_time", beside=canary),
            record(1, unit="b", role="canary", version="1.1.0", weight=0.1),
            record(1, unit="b", role="paired", version="1.0.0", weight=0.1, prediction="on_time", beside=canary),
            record(1, unit="b", role="shadow", version="1.2.0", weight=0.1, beside=canary),
            record(2, role="named", version="1.1.0"),
            record(2, role="shadow", version="1.0.0", beside=named),
        ]
    )
    spool.feedback(
        [("p0", "on_time", march + days(2)), ("p1", "late", march + days(1)), ("p2", "late", march)], model="flights"
    )
    rollups.catch_up(spool, no_bins)
    until = march + days(3)
    assert paired(rollups, "1.0.0", "1.1.0", march, until) == {"late": PairedCounts(1), "on_time": PairedCounts(0, 1)}
    for other in (("1.1.0", "1.0.0"), ("1.0.0", "1.2.0"), ("1.1.0", "1.2.0")):
        assert paired(rollups, *other, march, until) == {}
        assert Pair("flights", *other).both_scored(rollups, [march], until) == [BothScored()]
    assert rollups.label_counts("flights", march, until) == {"late": 1, "on_time": 1}
    assert rollups.first_bad_at("flights", "1.1.0", march) == march + days(2)


def test_only_the_first_bad_event_of_a_key_is_evidence(spool, rollups, record, march):
    failed = {"status": "failed", "prediction": None, "score": None, "latency_ms": 900.0}
    spool.append([record(0, key="N1", **failed), record(1, key="N1", **failed), record(2, key="N2", **failed)])
    rollups.catch_up(spool, no_bins)  # the key is remembered beyond one round
    spool.append(
        [
            record(3, key="N1", role="canary", version="1.1.0", **failed),  # the same rollout: counted before
            record(4, key="N1", salt="next rollout", **failed),
            record(5, **failed),
            record(6, **failed),  # without keys the request is the unit
            record(7, key="N1", role="shadow", version="1.1.0", **failed),  # shadows take no key from those who answer
            *(record(8, request="whole", prediction_id=f"p8/{row}", row=row, **failed) for row in range(50)),
        ]
    )
    rollups.catch_up(spool, no_bins)
    assert [
        (role, seen.requests, seen.errors, seen.bad_errors, seen.slow, seen.bad_slow, seen.failed_rows)
        for role, seen in events(rollups, march, march + days(1))
    ] == [("champion", 7, 7, 6, 7, 6, 56), ("canary", 1, 1, 0, 1, 0, 1), ("shadow", 1, 1, 1, 1, 1, 1)]


def test_who_failed_is_counted_of_each_request_that_both_scored(spool, rollups, record, march):
    def both(number, answered, beside, key=None, role="champion"):
        rows = [
            {"version": "1.0.0" if role == "champion" else "1.1.0", "role": role, "status": answered},
            {"version": "1.1.0" if role == "champion" else "1.0.0", "role": "paired", "status": beside},
        ]
        answer = Answered(rows[0]["version"], role, answered)
        records = [
            record(number, key=key, prediction=None if row["status"] == "failed" else "late", **row) for row in rows
        ]
        return [records[0], records[1]._replace(beside=answer)]

    spool.append(
        [
            *both(0, "ok", "failed"),
            *both(1, "failed", "ok", role="canary"),
            *both(2, "failed", "ok"),
            *both(3, "failed", "failed"),
            *both(4, "ok", "ok"),
            *both(5, "ok", "failed", key="ada"),
            *both(5, "failed", "failed", key="ada"),  # not her first of that minute
            *both(6, "ok", "failed", key="ada"),
            *both(7, "failed", "failed", key="ada"),
        ]
    )
    rollups.catch_up(spool, no_bins)
    pair = Pair("flights", "1.0.0", "1.1.0")
    minute = timedelta(minutes=1)
    found = pair.both_scored(rollups, [march, march + 3 * minute, march + 6 * minute], march + days(1))
    assert found == [BothScored(8, 4, 1, 2), BothScored(5, 2, 0, 2), BothScored(2, 1, 0, 1)]


def test_first_bad_at_is_the_earliest_error_or_loss(spool, rollups, record, march):
    assert rollups.first_bad_at("flights", "1.1.0", march) is None
    canary = {"role": "canary", "version": "1.1.0", "weight": 0.1}
    beside = {"role": "paired", "prediction": "on_time", "beside": Answered("1.1.0", "canary", "ok"), "unit": "20"}
    spool.append([record(20, **canary, unit="20"), record(20, **beside), record(1, **canary)])
    spool.append([record(9, **canary, status="failed", prediction=None)])
    spool.feedback([("p20", "on_time", march + days(1)), ("p1", "on_time", march)], model="flights")
    rollups.catch_up(spool, no_bins)
    assert rollups.first_bad_at("flights", "1.1.0", march) == march + timedelta(minutes=9)
    assert rollups.first_bad_at("flights", "1.1.0", march + timedelta(minutes=10)) == march + days(1)
    assert rollups.first_bad_at("flights", "1.1.0", march + timedelta(minutes=21)) is None
    # Within a minute as well, whichever is rolled up first.
    for seconds in (20, 10, 30):
        at = march + days(5) + timedelta(seconds=seconds)
        spool.append([record(seconds, **{**canary, "event_time": at, "status": "failed", "prediction": None})])
        rollups.catch_up(spool, no_bins)
    assert rollups.first_bad_at("flights", "1.1.0", march + days(5)) == march + days(5) + timedelta(seconds=10)


def test_rejected_requests_and_corrections_are_no_evidence(spool, rollups, record, march):
    nobody = {"version": "", "role": "none", "features": {}, "prediction": None}
    spool.append([record(0), record(1, **nobody, status="rejected", code="invalid_features")])
    spool.append([record(2, **nobody, status="held", code="on_hold"), record(2, **nobody, status="held", row=1)])
    spool.feedback([("p0", "late", march)], model="flights")
    spool.feedback([("p0", "on_time", march)], model="flights")
    rollups.catch_up(spool, with_bins)
    assert rollups.events("flights", march, march + days(1)) == [
        ArmEvents("", "none", 1.0, EventCounts(requests=2, rows=3)),
        ArmEvents("1.0.0", "champion", 1.0, EventCounts(requests=1, rows=1, labelled=1)),
    ]
    assert rollups.refused("flights", march, march + days(1)) == [
        RefusedCounts("", "held", "on_hold", 1),
        RefusedCounts("", "rejected", "invalid_features", 1),
    ], "of requests, not of rows"
    assert rollups.refused("flights", march + days(1), march + days(2)) == []
    assert rollups.confusion("flights", None, march, march + days(1)) == {("late", "late"): 1}
    assert rollups.feature_counts("flights", None, march, march + days(1))["hour"].sum() == 1


def test_label_debt_is_what_was_answered_and_has_no_label(spool, rollups, record, march):
    spool.append([record(number) for number in (0, 10, 20)])
    spool.append(
        [
            record(30, status="failed", prediction=None),  # will never have one
            record(31, version="", role="none", status="rejected", features={}, prediction=None),
            record(10, role="shadow", version="1.1.0"),  # beside an answer, none itself
            record(40, version="1.1.0", role="canary"),
        ]
    )
    rollups.catch_up(spool, with_bins)
    minute = timedelta(minutes=1)
    assert rollups.label_debt("flights", march, march + days(1)) == LabelDebt(4, 4, march, march + 10 * minute)
    assert rollups.label_debt("flights", march + 15 * minute, march + days(1)).awaiting == 2
    spool.feedback([("p0", "late", march), ("p40", "late", march), ("p0", "ok", march)], model="flights")
    rollups.catch_up(spool, with_bins)
    debt = rollups.label_debt("flights", march, march + days(1))
    assert debt == LabelDebt(4, 2, march + 10 * minute, march + 10 * minute)
    spool.feedback([("p10", "late", march), ("p20", "late", march), ("p20", "late", march)], model="flights")
    rollups.catch_up(spool, with_bins)
    assert rollups.label_debt("flights", march, march + days(1)) == LabelDebt(4, 0, None, None)
    assert rollups.models() == ["flights"]


def test_values_of_the_wrong_kind_count_as_missing(spool, rollups, record, march):
    spool.append([record(0, features={"hour": "six", "carrier": 7.0}), record(1, features={})])
    rollups.catch_up(spool, with_bins)
    counts = rollups.feature_counts("flights", None, march, march + days(1))
    assert (counts["hour"].tolist(), counts["carrier"].tolist()) == ([2, 0, 0, 0, 0], [2, 0, 0, 0])


def test_versions_in_different_bins_do_not_add_up(spool, rollups, record, march):
    others = {"hour": NumericBins((5.0, 12.0, 18.0))}
    spool.append([record(0), record(1, version="2.0.0")])
    rollups.catch_up(spool, lambda _, version: BINS if version == "1.0.0" else others)
    assert rollups.feature_counts("flights", ["2.0.0"], march, march + days(1))["hour"].tolist() == [0, 1, 0, 0, 0]
    all_versions = rollups.feature_counts("flights", None, march, march + days(1))
    assert {feature: int(cells.sum()) for feature, cells in all_versions.items()} == {"carrier": 1, "score": 1}
    in_these = rollups.feature_counts("flights", None, march, march + days(1), BINS)
    assert {feature: int(cells.sum()) for feature, cells in in_these.items()} == dict.fromkeys(BINS, 1)


def test_shed_scorings_are_counted_and_are_no_requests(spool, rollups, record, march):
    minute = timedelta(minutes=1)
    spool.append([record(0)])
    spool.shed(
        [
            ShedRecord("flights", "1.1.0", "paired", 0.1, march + 5 * minute, 7),
            ShedRecord("flights", "1.1.0", "paired", 0.2, march + 5 * minute, 1),
            ShedRecord("flights", "1.2.0", "shadow", 0.1, march + 6 * minute, 3),
            ShedRecord("weather", "1.1.0", "paired", 0.1, march, 100),
        ]
    )
    rollups.catch_up(spool, with_bins)
    spool.shed([ShedRecord("flights", "1.1.0", "paired", 0.1, march + 5 * minute, 2)])
    assert rollups.catch_up(spool, with_bins) == spool.last_number()
    assert rollups.shed("flights", march, march + days(1)) == [
        ShedCounts("1.1.0", "paired", 10),
        ShedCounts("1.2.0", "shadow", 3),
    ]
    assert rollups.shed("flights", march, march + 6 * minute) == [ShedCounts("1.1.0", "paired", 10)]
    assert [row.counts.requests for row in rollups.events("flights", march, march + days(1))] == [1]


def test_what_clients_write_stops_no_round(spool, rollups, record, march):
    """PostgreSQL refuses NUL, and to index a text of more than 2,700 bytes."""
    keys = ["N\0", "\u2603" * 10_000, "N1"]
    failed = {"status": "failed", "prediction": None}
    spool.append([record(number, key=key, **failed) for number, key in enumerate([*keys, *keys])])
    spool.append([record(number + 10) for number in range(2)])
    spool.feedback([("p10", "la\0te", march), ("p11", "\u2603" * 10_000, march)], model="flights")
    spool.append([record(0, prediction_id="the last minute", event_time=datetime.max.replace(tzinfo=UTC))])
    rollups.catch_up(spool, no_bins)
    ((_, seen),) = events(rollups, march, march + days(1))
    assert (seen.errors, seen.bad_errors, seen.wrong) == (6, 3, 2)
    assert rollups.label_counts("flights", march, march + days(1)) == {"la\ufffdte": 1, "\u2603" * 200: 1}


def test_entries_are_freed_when_the_rollups_of_all_machines_have_them_too(spool, postgresql, tmp_path, record, march):
    away = Rollups("postgresql://nobody@127.0.0.1:1/nothing", consumer="shared")  # nobody listens on port 1
    local, log = Rollups(f"sqlite:///{tmp_path}/rollups.sqlite"), PredictionLog(tmp_path / "log")
    spool.marks.keep_for(["rolled_up", "shipped", "shared"])
    for number in range(3):
        spool.append([record(number)])
        local.catch_up(spool, no_bins)
        log.ship(spool)
        with pytest.raises(StorageError, match="cannot be used"):
            away.catch_up(spool, no_bins)
    assert len(spool.read(0)) == 3
    assert [row.counts.requests for row in local.events("flights", march, march + days(1))] == [3]

    back = Rollups(postgresql, consumer="shared")
    assert back.catch_up(spool, no_bins) == 3
    assert back.events("flights", march, march + days(1)) == local.events("flights", march, march + days(1))
    assert spool.free() == 3
    spool.append([record(3)])
    local.catch_up(spool, no_bins)
    log.ship(spool)
    spool.marks.keep_for(["rolled_up", "shipped"])  # there is no such database any more
    assert spool.free() == 1
    back.close()


def test_a_round_that_fails_leaves_nothing_behind(spool, rollups, record, march):
    spool.append([record(0)])
    with pytest.raises(KeyError):
        rollups.catch_up(spool, lambda _, version: {}[version])
    assert rollups.events("flights", march, march + days(1)) == []
    rollups.catch_up(spool, no_bins)
    rollups.catch_up(spool, no_bins)
    assert [row.counts.requests for row in rollups.events("flights", march, march + days(1))] == [1]


def test_a_crash_between_the_rollups_and_the_spool_counts_nothing_twice(spool, rollups, record, march, monkeypatch):
    spool.append([record(0)])
    with monkeypatch.context() as crash:
        crash.setattr(spool.marks, "set", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rollups.catch_up(spool, no_bins)
    rollups.catch_up(spool, no_bins)
    assert [row.counts.requests for row in rollups.events("flights", march, march + days(1))] == [1]


def test_a_series_is_the_counts_of_each_step_and_the_fleet_is_every_model_at_once(spool, rollups, record, march):
    def train(number: int):
        its = {"model": "trains", "prediction_id": f"t{number}", "request": f"t{number}"}
        return record(number, latency_ms=100.0, **its)

    spool.append([record(minute) for minute in (0, 1, 59, 60, 200)])
    spool.append([record(201, status="failed", error="model_failed", prediction=None, score=None)])
    spool.append([record(202, role="shadow", version="1.1.0"), record(203, role="canary", version="1.1.0", weight=0.1)])
    spool.append([train(30), train(90)])
    rollups.catch_up(spool, no_bins)
    end = march + timedelta(hours=4)
    hour = timedelta(hours=1)

    by_hour = rollups.series("flights", march, end, hour)
    assert {at: (its.requests, its.errors) for at, its in by_hour.items()} == {
        march: (3, 0),
        march + hour: (1, 0),
        march + 3 * hour: (3, 1),
    }
    assert [its.requests for its in rollups.series("flights", march, end, days(1), version="1.0.0").values()] == [6]

    first, canary, trains = ServedBy("flights", "1.0.0"), ServedBy("flights", "1.1.0"), ServedBy("trains", "1.0.0")
    assert failures_by_hour(rollups, march, end) == {
        first: {march: Failures(0, 3), march + hour: Failures(0, 1), march + 3 * hour: Failures(1, 2)},
        canary: {march + 3 * hour: Failures(0, 1)},
        trains: {march: Failures(0, 1), march + hour: Failures(0, 1)},
    }
    assert requests_by_model(rollups, march + hour, end) == {"flights": 4, "trains": 1}
    found = latency_by_version(rollups, march, end)
    assert set(found) == {first, canary, trains}
    assert found[trains] == rollups.latency("trains", None, march, end)


def test_hours_and_days_are_the_sums_of_their_minutes(spool, rollups, record, march):
    """Through late labels and late requests, whatever the window: a page adds up the coarsest table that fits."""
    minutes = [0, 59, 60, 61, 24 * 60 - 1, 24 * 60, 26 * 60 + 30, 49 * 60]
    spool.append([record(minute, prediction_id=f"p{minute}", request=f"p{minute}") for minute in minutes])
    spool.append([record(62, status="failed", error="model_failed", prediction=None, score=None)])
    spool.append([record(63, role="canary", version="1.1.0", weight=0.1, prediction_id="c", request="c")])
    rollups.catch_up(spool, no_bins)
    spool.feedback([("p59", "late", march), ("p60", "on_time", march), ("p1440", "late", march)], model="flights")
    spool.append([record(58, prediction_id="late", request="late")])
    rollups.catch_up(spool, no_bins)
    for minute in (1, 60, 61, 100, 24 * 60, 24 * 60 + 1, 26 * 60 + 31, 60 * 60):
        until = march + timedelta(minutes=minute)
        series = rollups.series("flights", march, until, timedelta(hours=1))
        whole = sum(series.values(), EventCounts())
        expected = Totals(whole.requests, whole.errors, whole.rows - whole.failed_rows, whole.labelled, whole.wrong)
        assert totals_by_model(rollups, march, until) == {"flights": expected}
        (by_day,) = totals_by_day(rollups, march, until).values()
        assert {at: its.requests for at, its in by_day.items()} == {
            at: its.requests for at, its in rollups.series("flights", march, until, days(1)).items()
        }
        waiting = [
            (at, answers, answers - its.labelled)
            for at, its in series.items()
            for answers in (its.rows - its.failed_rows,)
        ]
        assert awaiting_by_hour(rollups, march, until) == waiting
        assert LabelDebt.of(awaiting_by_minute(rollups, march, until)) == rollups.label_debt("flights", march, until)
        of_first = hours_by_version(rollups, ["flights"], march, until)[ServedBy("flights", "1.0.0")]
        assert {at: (its.requests, its.wrong) for at, its in of_first.items()} == {
            at: (its.requests, its.wrong)
            for at, its in rollups.series("flights", march, until, timedelta(hours=1), version="1.0.0").items()
        }
        (by_hour,) = [
            hours
            for version, hours in latency_by_hour(rollups, ["flights"], march, until).items()
            if version.version == "1.0.0"
        ]
        found = summarize(sum(by_hour.values(), Counter()))
        assert found == rollups.latency("flights", "1.0.0", march, until)
