"""Several machines, each with a spool of its own, fold into one database: the counts are those of one machine."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.predictions import Answered, Pair, PredictionRecord, Rollups, ShedRecord, Spool
from mlops_dagster.predictions.rollups import rollups
from mlops_dagster.statistics import CategoricalBins, NumericBins

REPLICAS = 3
BINS = {"hour": NumericBins((6.0, 12.0)), "carrier": CategoricalBins(("AA", "UA")), "score": NumericBins((0.5,))}

Request = st.fixed_dictionaries(
    {
        "replica": st.integers(0, REPLICAS - 1),
        "second": st.integers(0, 130 * 60),
        "key": st.sampled_from([None, "N1", "N2", "N3", "N4"]),
        "fate": st.sampled_from(["late", "on_time", "failed", "rejected"]),
        "latency_ms": st.sampled_from([0.5, 20.0, 300.0]),
        "beside": st.sets(st.sampled_from(["paired", "shadow"])),
        "hour": st.sampled_from([None, 3.0, 8.0, 20.0]),
        "label": st.sampled_from([None, "late", "on_time"]),
        "labelled_after": st.integers(0, 90),
        "shed": st.integers(0, 2),
    }
)
Step = st.one_of(Request, st.tuples(st.just("fold"), st.integers(0, REPLICAS - 1)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path) -> str:
    return f"sqlite:///{tmp_path}/shared.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def shared(database) -> Iterator[Rollups]:
    rollups = Rollups(database, consumer="shared")
    yield rollups
    rollups.close()


def bins_of(_model, _version):
    return BINS


def test_dealt_over_replicas_and_folded_in_any_order_the_counts_are_the_same(
    tmp_path, spool, record, march, shared, database
):
    alone = Rollups(f"sqlite:///{tmp_path}/alone.sqlite")
    spools = [Spool(tmp_path / f"replica-{number}.sqlite") for number in range(REPLICAS)]
    models = (f"model-{number}" for number in itertools.count())  # one for each example: they share the files

    @settings(max_examples=30 if database.startswith("sqlite") else 10)  # the same lines count on both
    @given(st.lists(Step, max_size=25), st.permutations(range(REPLICAS)))
    def agree(steps, last_order):
        model = next(models)
        requests = [
            {**step, "model": model, "id": f"{model}-{number}", "at": march + timedelta(seconds=step["second"])}
            for number, step in enumerate(steps)
            if isinstance(step, dict)
        ]
        serve(spool, model, requests)
        waiting = iter(requests)
        for fold, between in itertools.groupby(steps, lambda step: isinstance(step, tuple)):
            if fold:
                for _, replica in between:
                    shared.catch_up(spools[replica], bins_of)
            else:
                served = [next(waiting) for _ in between]
                for replica in range(REPLICAS):
                    serve(spools[replica], model, [request for request in served if request["replica"] == replica])
        for replica in last_order:
            shared.catch_up(spools[replica], bins_of)
        alone.catch_up(spool, bins_of)
        assert seen(shared, model, march) == seen(alone, model, march)

    def serve(into: Spool, model: str, requests: list[dict]) -> None:
        into.append([arm for each in requests for arm in arms(record(0), each)])
        into.feedback(
            (
                (each["id"], each["label"], each["at"] + timedelta(minutes=each["labelled_after"]))
                for each in requests
                if each["label"]
            ),
            model=model,
        )
        into.shed(
            ShedRecord(each["model"], "1.2.0", "shadow", 0.1, each["at"], each["shed"])
            for each in requests
            if each["shed"]
        )

    agree()


def arms(answer: PredictionRecord, step) -> list[PredictionRecord]:
    """A key stays in its arm, as the split sees to; which of its bad events is the first, the folding decides."""
    canary = step["key"] in ("N1", "N2") or (step["key"] is None and step["second"] % 2 == 0)
    failed = step["fate"] in ("failed", "rejected")
    answer = answer._replace(
        prediction_id=step["id"],
        request=step["id"],
        unit=step["id"],  # which row speaks for a unit of several depends on the order of folding: test_units
        model=step["model"],
        event_time=step["at"],
        role="none" if step["fate"] == "rejected" else "canary" if canary else "champion",
        version="1.1.0" if canary else "1.0.0",
        weight=0.1 if canary else 0.9,
        key=step["key"],
        status=step["fate"] if failed else "ok",
        prediction=None if failed else step["fate"],
        score=None if failed else 0.9 if step["fate"] == "late" else 0.2,
        latency_ms=step["latency_ms"],
        features={"hour": step["hour"], "carrier": "UA"},
    )
    if step["fate"] == "rejected":
        return [answer]
    others = {"paired": "1.0.0" if canary else "1.1.0", "shadow": "1.2.0"}
    beside = Answered(answer.version, answer.role, answer.status)
    return [
        answer,
        *(
            answer._replace(
                role=role, version=others[role], weight=0.1, status="ok", prediction="late", score=0.9, beside=beside
            )
            for role in sorted(step["beside"])
        ),
    ]


def seen(rollups: Rollups, model: str, march: datetime) -> list[object]:
    """Every reader, over all and over a part of it."""
    everything = (march, march + timedelta(hours=6))
    part = (march + timedelta(minutes=40), march + timedelta(minutes=90))
    found: list[object] = [rollups.events(model, *everything), rollups.first_at(model)]
    # In which minute the first bad event of a key was depends on the order of folding.
    found.append([replace(each.counts, bad_errors=0, bad_slow=0) for each in rollups.events(model, *part)])
    for window in (everything, part):
        for pair in (Pair(model, "1.0.0", challenger) for challenger in ("1.1.0", "1.2.0")):
            found += [pair.outcomes(rollups, [window[0]], window[1]), pair.cohorts(rollups, *window)]
            (both,) = pair.both_scored(rollups, [window[0]], window[1])
            found.append(both if window is everything else both.requests)
        found.append(rollups.shed(model, *window))
        found.append({name: cells.tolist() for name, cells in rollups.feature_counts(model, None, *window).items()})
        found += [rollups.confusion(model, None, *window), rollups.label_counts(model, *window)]
        found += [rollups.latency(model, version, *window) for version in (None, "1.0.0", "1.1.0")]
    return [*found, *(rollups.first_bad_at(model, version, part[0]) for version in ("1.1.0", "1.2.0"))]


def test_those_who_fold_the_same_spools_at_once_count_nothing_twice(tmp_path, record, march, database, monkeypatch):
    monkeypatch.setattr(rollups, "_ENTRIES_AT_ONCE", 20)
    spools = [Spool(tmp_path / f"replica-{number}.sqlite") for number in range(2)]
    for spool in spools:
        failed = {"status": "failed", "prediction": None, "score": None}
        spool.append([record(number, key=f"N{number % 50}", **failed) for number in range(400)])
    folders = [Rollups(database) for _ in range(4)]
    start = Barrier(len(folders))

    def fold(number: int) -> None:
        start.wait()
        for spool in spools if number % 2 else spools[::-1]:
            folders[number].catch_up(spool, bins_of)

    with ThreadPoolExecutor(len(folders)) as pool:
        list(pool.map(fold, range(len(folders))))
    (arm,) = folders[0].events("flights", march, march + timedelta(days=1))
    assert (arm.counts.requests, arm.counts.errors, arm.counts.bad_errors) == (800, 800, 50)
    hours = folders[0].feature_counts("flights", None, march, march + timedelta(days=1))["hour"]
    assert hours.sum() == 800
    for folder in folders:
        folder.close()
