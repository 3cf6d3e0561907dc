import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions import (
    EventCounts,
    LabelDebt,
    PairedCounts,
    PredictionLog,
    Rollups,
    ShedCounts,
    ShedRecord,
)
from mlops_dagster.statistics import CategoricalBins, NumericBins

BEFORE_SQLALCHEMY = Path(__file__).parent / "data" / "rollups_before_sqlalchemy.sql"
"""What commit a1e66c3 made of the first prediction of a spool."""

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


def test_one_prediction_from_request_to_label(spool, rollups, record, march):
    spool.append(
        [
            record(61, key="N1", weight=0.9, latency_ms=250.0),
            record(61, key="N1", role="paired", version="1.1.0", weight=0.1, prediction="on_time"),
            record(61, key="N1", role="shadow", version="1.2.0", weight=0.1),
        ]
    )
    spool.feedback([("p61", "on_time", march + timedelta(hours=3))], model="flights")
    assert rollups.catch_up(spool, with_bins) == 4

    assert rollups.events("flights", march, march + days(1)) == [
        EventCounts("1.0.0", "champion", 0.9, 1, 0, 1, 1, 1, 0, 1, 1),
        EventCounts("1.1.0", "paired", 0.1, 1, 0, 0, 1, 0, 0, 0, 0),
        EventCounts("1.2.0", "shadow", 0.1, 1, 0, 0, 1, 1, 0, 0, 1),
    ]
    # Events are found by the minute of the request, pairs by the minute of the label.
    minute = timedelta(minutes=1)
    at = march + 61 * minute
    assert rollups.events("flights", at + minute, at + days(1)) == rollups.events("flights", march, at) == []
    matured = march + timedelta(hours=3)
    assert rollups.paired("flights", "1.0.0", "1.1.0", matured, matured + minute) == PairedCounts(1, 0, 0)
    assert rollups.paired("flights", "1.0.0", "1.2.0", matured, matured + minute) == PairedCounts(0, 0, 1)
    assert rollups.paired("flights", "1.0.0", "1.1.0", march, matured) == PairedCounts(0, 0, 0)
    counts = rollups.feature_counts("flights", ["1.0.0"], march, march + days(1))
    assert {name: cells.tolist() for name, cells in counts.items()} == {
        "hour": [0, 0, 0, 1, 0],  # 61 % 24 = 13
        "carrier": [0, 0, 1, 0],
        "score": [0, 0, 1],
    }
    assert rollups.confusion("flights", "1.0.0", march, march + days(1)) == {("on_time", "late"): 1}
    assert rollups.label_counts("flights", march, march + days(1)) == {"on_time": 1}
    assert rollups.output_counts("flights", "1.0.0", march, march + days(1)) == {"late": 1}
    assert rollups.output_counts("flights", None, march, at) == {}
    assert rollups.latency("flights", "1.0.0", march, march + days(1)).p99 == pytest.approx(250, rel=0.025)
    assert rollups.latency("flights", "1.2.0", march, march + days(1)) is None
    assert rollups.first_at("flights") == at


def test_where_the_canary_answered_the_paired_row_is_the_champion(spool, rollups, record, march):
    spool.append(
        [
            record(0, role="canary", version="1.1.0", weight=0.1),
            record(0, role="paired", version="1.0.0", weight=0.1, prediction="on_time"),
            record(1, role="canary", version="1.1.0", weight=0.1),
            record(1, role="paired", version="1.0.0", weight=0.1, prediction="on_time"),
            record(2, role="named", version="1.1.0"),
            record(2, role="shadow", version="1.0.0"),
        ]
    )
    spool.feedback(
        [("p0", "on_time", march + days(2)), ("p1", "late", march + days(1)), ("p2", "late", march)], model="flights"
    )
    rollups.catch_up(spool, no_bins)
    assert rollups.paired("flights", "1.0.0", "1.1.0", march, march + days(3)) == PairedCounts(1, 1, 0, march + days(2))
    assert rollups.paired("flights", "1.1.0", "1.0.0", march, march + days(3)) == PairedCounts(0, 0, 0)
    assert rollups.label_counts("flights", march, march + days(3)) == {"late": 1, "on_time": 1}


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
        ]
    )
    rollups.catch_up(spool, no_bins)
    assert [
        (row.role, row.errors, row.bad_errors, row.slow, row.bad_slow)
        for row in rollups.events("flights", march, march + days(1))
    ] == [("champion", 6, 5, 6, 5), ("canary", 1, 0, 1, 0), ("shadow", 1, 1, 1, 1)]


def test_first_bad_at_is_the_earliest_error_or_loss(spool, rollups, record, march):
    assert rollups.first_bad_at("flights", "1.1.0", march) is None
    canary = {"role": "canary", "version": "1.1.0", "weight": 0.1}
    spool.append([record(0, **canary), record(0, role="paired", prediction="on_time"), record(1, **canary)])
    spool.append([record(9, **canary, status="failed", prediction=None)])
    spool.feedback([("p0", "on_time", march + days(1)), ("p1", "on_time", march)], model="flights")
    rollups.catch_up(spool, no_bins)
    assert rollups.first_bad_at("flights", "1.1.0", march) == march + timedelta(minutes=9)
    assert rollups.first_bad_at("flights", "1.1.0", march + timedelta(minutes=10)) == march + days(1)
    assert rollups.first_bad_at("flights", "1.1.0", march + days(2)) is None
    # Within a minute as well, whichever is rolled up first.
    for seconds in (20, 10, 30):
        at = march + days(5) + timedelta(seconds=seconds)
        spool.append([record(seconds, **{**canary, "event_time": at, "status": "failed", "prediction": None})])
        rollups.catch_up(spool, no_bins)
    assert rollups.first_bad_at("flights", "1.1.0", march + days(5)) == march + days(5) + timedelta(seconds=10)


def test_rejected_requests_and_corrections_are_no_evidence(spool, rollups, record, march):
    spool.append([record(0), record(1, version="", role="none", status="rejected", features={}, prediction=None)])
    spool.feedback([("p0", "late", march)], model="flights")
    spool.feedback([("p0", "on_time", march)], model="flights")
    rollups.catch_up(spool, with_bins)
    assert rollups.events("flights", march, march + days(1)) == [
        EventCounts("", "none", 1.0, 1, 0, 0, 0, 0, 0, 0, 0),
        EventCounts("1.0.0", "champion", 1.0, 1, 0, 0, 1, 0, 0, 0, 0),
    ]
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
    assert [row.requests for row in rollups.events("flights", march, march + days(1))] == [1]


def test_what_clients_write_stops_no_round(spool, rollups, record, march):
    """PostgreSQL refuses NUL, and to index a text of more than 2,700 bytes."""
    keys = ["N\0", "\u2603" * 10_000, "N1"]
    failed = {"status": "failed", "prediction": None}
    spool.append([record(number, key=key, **failed) for number, key in enumerate([*keys, *keys])])
    spool.append([record(number + 10) for number in range(2)])
    spool.feedback([("p10", "la\0te", march), ("p11", "\u2603" * 10_000, march)], model="flights")
    spool.append([record(0, prediction_id="the last minute", event_time=datetime.max.replace(tzinfo=UTC))])
    rollups.catch_up(spool, no_bins)
    (events,) = rollups.events("flights", march, march + days(1))
    assert (events.errors, events.bad_errors, events.wrong) == (6, 3, 2)
    assert rollups.label_counts("flights", march, march + days(1)) == {"la\ufffdte": 1, "\u2603" * 200: 1}


def test_entries_are_freed_when_the_rollups_of_all_machines_have_them_too(spool, postgresql, tmp_path, record, march):
    away = Rollups("postgresql://nobody@127.0.0.1:1/nothing", consumer="shared")  # nobody listens on port 1
    local, log = Rollups(f"sqlite:///{tmp_path}/rollups.sqlite"), PredictionLog(tmp_path / "log")
    spool.keep_for(["rolled_up", "shipped", "shared"])
    for number in range(3):
        spool.append([record(number)])
        local.catch_up(spool, no_bins)
        log.ship(spool)
        with pytest.raises(StorageError, match="cannot be used"):
            away.catch_up(spool, no_bins)
    assert len(spool.read(0)) == 3
    assert [row.requests for row in local.events("flights", march, march + days(1))] == [3]

    back = Rollups(postgresql, consumer="shared")
    assert back.catch_up(spool, no_bins) == 3
    assert back.events("flights", march, march + days(1)) == local.events("flights", march, march + days(1))
    assert spool.free() == 3
    spool.append([record(3)])
    local.catch_up(spool, no_bins)
    log.ship(spool)
    spool.keep_for(["rolled_up", "shipped"])  # there is no such database any more
    assert spool.free() == 1
    back.close()


def test_rollups_of_an_earlier_release_are_gone_on_with(spool, tmp_path, record, march):
    path = tmp_path / "rollups.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(BEFORE_SQLALCHEMY.read_text().replace("SPOOL", spool.id))
    spool.append([record(0, latency_ms=250.0), record(1)])
    spool.feedback([("p0", "late", march)], model="flights")
    rollups = Rollups(f"sqlite:///{path}")
    rollups.catch_up(spool, with_bins)
    # The first of them was counted by that release.
    assert rollups.events("flights", march, march + days(1)) == [
        EventCounts("1.0.0", "champion", 1.0, 2, 0, 1, 1, 0, 0, 1, 0)
    ]
    assert rollups.feature_counts("flights", None, march, march + days(1))["hour"].tolist() == [0, 2, 0, 0, 0]
    assert rollups.latency("flights", None, march, march + days(1)).requests == 2


def test_a_round_that_fails_leaves_nothing_behind(spool, rollups, record, march):
    spool.append([record(0)])
    with pytest.raises(KeyError):
        rollups.catch_up(spool, lambda _, version: {}[version])
    assert rollups.events("flights", march, march + days(1)) == []
    rollups.catch_up(spool, no_bins)
    rollups.catch_up(spool, no_bins)
    assert [row.requests for row in rollups.events("flights", march, march + days(1))] == [1]


def test_a_crash_between_the_rollups_and_the_spool_counts_nothing_twice(spool, rollups, record, march, monkeypatch):
    spool.append([record(0)])
    with monkeypatch.context() as crash:
        crash.setattr(spool, "mark", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rollups.catch_up(spool, no_bins)
    rollups.catch_up(spool, no_bins)
    assert [row.requests for row in rollups.events("flights", march, march + days(1))] == [1]


# A second, naive account of the same rules, for any traffic, any order of labels and any moments of rolling up.

Prediction = st.fixed_dictionaries(
    {
        "answered_by": st.sampled_from(["champion", "canary"]),
        "beside": st.sets(st.sampled_from(["paired", "shadow"])),
        "minute": st.integers(0, 200),
        "key": st.sampled_from([None, "N1", "N2"]),
        "right": st.tuples(st.booleans(), st.booleans(), st.booleans()),
        "failed": st.booleans(),
        "latency_ms": st.sampled_from([3.0, 300.0]),
    }
)
Step = st.one_of(
    Prediction,
    st.tuples(st.integers(0, 30), st.sampled_from(["late", "on_time"]), st.integers(0, 500)),
    st.just("roll up"),
)


@dataclass
class Account:
    minute_counts: Counter = field(default_factory=Counter)
    pairs: Counter = field(default_factory=Counter)
    cells: Counter = field(default_factory=Counter)
    seen: set = field(default_factory=set)

    def bad(self, group, metric, key, arm):
        self.minute_counts[(*arm, metric)] += 1
        if key is None or (group, metric, key) not in self.seen:
            self.minute_counts[(*arm, f"first {metric}")] += 1
        self.seen.add((group, metric, key))


def test_rollups_agree_with_a_naive_account(spool, rollups, record, march):
    models = (f"model-{number}" for number in itertools.count())  # one for each example: they share the two files

    @settings(max_examples=80, deadline=None)
    @given(st.lists(Step, max_size=40))
    def agree(steps):
        model = next(models)
        account = Account()
        arms_of: list[list[dict]] = []
        labelled: set[int] = set()
        for step in steps:
            if step == "roll up":
                rollups.catch_up(spool, with_bins)
            elif isinstance(step, dict):
                arms = _arms(step)
                at = march + timedelta(minutes=step["minute"])
                prediction_id = f"{model}-{len(arms_of)}"
                arms_of.append(arms)
                spool.append(
                    [record(0, prediction_id=prediction_id, model=model, event_time=at, **arm) for arm in arms]
                )
                for arm in arms:
                    _account_request(account, arm)
            elif step[0] < len(arms_of):
                number, label, minute = step
                spool.feedback([(f"{model}-{number}", label, march + timedelta(minutes=minute))], model=model)
                answer, *_ = arms_of[number]  # without one there is nothing that the label could be of
                if number not in labelled and answer["prediction"] is not None:
                    labelled.add(number)
                    _account_label(account, arms_of[number], label)
        rollups.catch_up(spool, with_bins)
        _compare(rollups, model, march, account)

    agree()


def _compare(rollups: Rollups, model: str, since: datetime, account: Account) -> None:
    until = since + days(1)
    found: Counter = Counter()
    for row in rollups.events(model, since, until):
        arm = (row.version, row.role, row.weight)
        found[(*arm, "requests")] = row.requests
        found[(*arm, "labelled")] = row.labelled
        for metric, every, first in (
            ("error", row.errors, row.bad_errors),
            ("slow", row.slow, row.bad_slow),
            ("wrong", row.wrong, row.bad_wrong),
        ):
            found[(*arm, metric)], found[(*arm, f"first {metric}")] = every, first
    assert +found == +account.minute_counts
    pairs: Counter = Counter()
    for challenger in ("1.1.0", "1.2.0"):
        counts = rollups.paired(model, "1.0.0", challenger, since, until)
        for name in ("wins", "losses", "ties"):
            pairs[challenger, name] = getattr(counts, name)
    assert +pairs == +account.pairs
    cells = rollups.feature_counts(model, None, since, until)
    assert np.array_equal(cells.get("score", np.zeros(3)), [account.cells[cell] for cell in range(3)])


def _arms(step) -> list[dict]:
    other = "canary" if step["answered_by"] == "champion" else "champion"
    roles = [(step["answered_by"], step["answered_by"])]
    roles += [("paired", other)] * ("paired" in step["beside"]) + [("shadow", "shadow")] * ("shadow" in step["beside"])
    versions = {"champion": "1.0.0", "canary": "1.1.0", "shadow": "1.2.0"}
    return [
        {
            "role": role,
            "version": versions[version],
            "weight": 0.9 if role == "champion" else 0.1,
            "key": step["key"],
            "prediction": None if failed else "late" if right else "on_time",
            "score": None if failed else 0.9 if right else 0.1,
            "status": "failed" if failed else "ok",
            "latency_ms": step["latency_ms"],
        }
        for (role, version), right, failed in zip(roles, step["right"], [step["failed"], False, False], strict=False)
    ]


def _group(arm) -> str:
    return "served" if arm["role"] in ("champion", "canary") else arm["role"] + arm["version"]


def _account_request(account: Account, arm: dict) -> None:
    name = (arm["version"], arm["role"], arm["weight"])
    account.minute_counts[(*name, "requests")] += 1
    if arm["status"] == "failed":
        account.bad(_group(arm), "error", arm["key"], name)
    if arm["latency_ms"] > 200:
        account.bad(_group(arm), "slow", arm["key"], name)
    if _group(arm) == "served" and arm["score"] is not None:
        account.cells[1 if arm["score"] < 0.5 else 2] += 1


def _account_label(account: Account, arms: list[dict], label: str) -> None:
    scored = {arm["version"]: arm for arm in arms if arm["prediction"] is not None}
    for arm in scored.values():
        name = (arm["version"], arm["role"], arm["weight"])
        account.minute_counts[(*name, "labelled")] += 1
        if arm["prediction"] != label:
            account.bad(_group(arm), "wrong", arm["key"], name)
    for challenger in ("1.1.0", "1.2.0"):
        if arms[0]["prediction"] is not None and "1.0.0" in scored and challenger in scored:
            right = scored["1.0.0"]["prediction"] == label, scored[challenger]["prediction"] == label
            outcome = {(False, True): "wins", (True, False): "losses"}.get(right, "ties")
            account.pairs[challenger, outcome] += 1
