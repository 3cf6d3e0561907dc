"""Labels that are sent to any of several replicas: each is recorded once, where its prediction is held."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions import (
    Answered,
    Feedback,
    LabelInbox,
    LabelOutbox,
    Pair,
    PairedCounts,
    PredictionLog,
    PredictionRecord,
    Rollups,
    Spool,
)
from mlops_dagster.predictions.encoded import LabelEntry

Make = Callable[..., PredictionRecord]
REPLICAS = 3
KEEP = timedelta(days=60)


class Database(LabelInbox):
    """The shared database as one replica reaches it, or does not."""

    away = False

    @property
    def _database(self):
        if self.away:
            raise StorageError("the database is away")
        return super()._database


@dataclass
class Stepped:
    """A clock that somebody sets."""

    time: datetime

    def now(self) -> datetime:
        return self.time


class Replica:
    """The stores of one machine, without a process around them."""

    def __init__(self, folder: Path, url: str, clock: Stepped) -> None:
        folder.mkdir(exist_ok=True)
        self.spool, self.database = Spool(folder / "spool.sqlite", clock=clock), Database(url)
        self.outbox = LabelOutbox(folder / "labels.sqlite", "process")
        self.feedback = Feedback(self.spool, self.database, self.outbox, clock)
        self.feedback.look()

    def entries(self, after: int = 0) -> list[LabelEntry]:
        return [entry.label() for entry in self.spool.read(after, 100_000) if entry.is_label]

    def close(self) -> None:
        self.spool.close()
        self.feedback.close()


@pytest.fixture
def clock(march: datetime) -> Stepped:
    return Stepped(march + timedelta(days=5001))


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return PredictionLog(tmp_path / "log")


@pytest.fixture
def replicas(tmp_path: Path, postgresql: str, clock: Stepped) -> Iterator[list[Replica]]:
    replicas = [Replica(tmp_path / f"replica-{number}", postgresql, clock) for number in range(REPLICAS)]
    yield replicas
    for replica in replicas:
        replica.close()


def exchange(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.feedback.exchange()


Number = st.integers(0, REPLICAS - 1)
Id = st.sampled_from(["1", "2"])
Ask = st.tuples(st.just("ask"), Number, Id)
Label = st.tuples(st.just("label"), Number, Id, st.sampled_from(["late", "on_time"]))
Step = st.one_of(
    Ask,
    Label,
    Label,
    st.tuples(st.just("exchange"), Number),
    st.tuples(st.just("away"), Number),
    st.tuples(st.just("dies"), Number, st.sampled_from(["done", "remove", "feedback", "post"])),
)


def test_wherever_labels_are_sent_each_id_is_evidence_once_and_none_that_was_accepted_is_lost(
    replicas: list[Replica], tmp_path: Path, postgresql: str, record: Make, march: datetime, clock: Stepped
) -> None:
    """Ids repeated on several replicas, a database that is away, replicas that die between any two writes."""
    examples = itertools.count()
    shared = Rollups(postgresql, consumer="shared")

    @settings(max_examples=12)
    @example([("ask", 0, "1"), ("ask", 1, "1")], [("label", 0, "1", "late"), ("label", 1, "1", "late")])
    @given(st.lists(Ask, min_size=3, max_size=6), st.lists(Step, min_size=3, max_size=16))
    def holds(asked: list[tuple], then: list[tuple]) -> None:
        model = f"m{next(examples)}"
        begin = [replica.spool.last_number() for replica in replicas]
        answered: set[str] = set()
        accepted: defaultdict[str, set[str]] = defaultdict(set)
        names = itertools.count()
        for step in asked + then:
            clock.time += timedelta(seconds=1)
            replica = replicas[step[1]]
            match step:
                case ("ask", _, name):
                    request = f"{model}-{next(names)}"
                    row = record(0, prediction_id=name, request=request, model=model, unit=request)
                    beside = row._replace(role="paired", version="1.1.0", beside=Answered("1.0.0", "champion", "ok"))
                    replica.spool.append([row, beside])
                    answered.add(name)
                case ("label", _, name, label):
                    result = replica.feedback.take([(name, label, None)], model=model)
                    assert result.accepted == 1, "with others there, nobody can know that it is of nobody"
                    if name in answered:
                        accepted[name].add(label)
                case ("exchange", _) if not replica.database.away:
                    replica.feedback.exchange()
                case ("away", _):
                    replica.database.away = not replica.database.away
                case ("dies", _, where) if not replica.database.away:
                    die_at(replica, where)
        for replica in replicas:
            replica.database.away = False
        for _ in range(2):  # what was kept while the database was away is sent in the first round
            exchange(replicas)
        entries = [entry for replica, after in zip(replicas, begin, strict=True) for entry in replica.entries(after)]
        evidence = Counter(entry["prediction_id"] for entry in entries if entry["arms"])
        # A label may have come before the answer: it is of that answer if it still waited then.
        assert accepted.keys() <= evidence.keys() <= answered
        assert set(evidence.values()) <= {1}
        recorded: defaultdict[str, set[str]] = defaultdict(set)
        holders: defaultdict[str, set[str]] = defaultdict(set)
        for entry in entries:
            recorded[entry["prediction_id"]].add(entry["label"])
            holders[entry["prediction_id"]].add(entry["request"])
        assert all(labels <= recorded[name] for name, labels in accepted.items())
        assert all(len(requests) == 1 for requests in holders.values())
        for replica in replicas:
            shared.catch_up(replica.spool, lambda *_: None)
        events = shared.events(model, march, march + timedelta(days=1))
        assert {each.counts.labelled for each in events} <= {len(evidence)}
        (outcomes,) = Pair(model, "1.0.0", "1.1.0").outcomes(shared, [march], march + timedelta(days=1))
        assert sum((each for each in outcomes.values()), PairedCounts()) == PairedCounts(ties=len(evidence))

    holds()
    shared.close()


def die_at(replica: Replica, where: str) -> None:
    """Begin an exchange and end in the middle of it, as with kill -9."""

    def die(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    of = {"done": replica.database, "remove": replica.outbox, "feedback": replica.spool, "post": replica.database}[
        where
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of, where, die)
        try:
            replica.feedback.exchange()
        except KeyboardInterrupt:
            return


def test_a_label_sent_to_another_replica_is_of_the_prediction_and_as_it_was_sent(
    replicas: list[Replica], record: Make, march: datetime, clock: Stepped
) -> None:
    here, there, third = replicas
    there.spool.append([record(0, prediction_id="a\0b")])
    known_at = march + timedelta(days=30)
    sent_at = clock.time
    result = here.feedback.take([("a\0b", "late", known_at), ("a\0b", "on_time", None)], model="flights", actor="shop")
    assert (result.accepted, result.pending, result.unknown) == (2, 2, [])
    clock.time += timedelta(hours=1)
    assert third.feedback.exchange() == here.feedback.exchange() == []
    (taken,) = there.feedback.exchange()
    assert (taken.model, taken.result.accepted, taken.result.corrections) == ("flights", 2, 1)
    first, second = there.entries()
    assert (first["label"], first["actor"], len(first["arms"])) == ("late", "shop", 1)
    assert (second["label"], second["correction"], second["arms"]) == ("on_time", True, [])
    micros = [round((at - march).total_seconds() * 1e6) for at in (known_at, sent_at, sent_at)]
    begin = round(march.timestamp() * 1e6)
    assert [first["at"] - begin, second["at"] - begin, first["received_at"] - begin] == micros
    assert here.database.waiting() == {}
    # From now on whoever is asked knows whose it is.
    assert third.feedback.take([("a\0b", "late", None)], model="flights").pending == 1
    exchange(replicas)
    assert len(there.entries()) == 3


def test_alone_an_id_of_nobody_is_unknown_at_once_and_with_others_it_is_counted_as_such_later(
    tmp_path: Path, postgresql: str, record: Make, log: PredictionLog, clock: Stepped
) -> None:
    alone = Replica(tmp_path / "alone", postgresql, clock)
    alone.spool.append([record(0)])
    result = alone.feedback.take([("?", "late", None), ("p0", "late", None)], model="flights")
    assert (result.accepted, result.pending, result.unknown) == (1, 0, ["?"])

    other = Replica(tmp_path / "other", postgresql, clock)
    assert alone.feedback.take([("?", "late", None)], model="flights").pending == 1
    settle = partial(first_settling, [alone, other], log)
    assert settle() == ([], {}), "the other one has not looked yet"
    exchange([alone, other])
    assert settle() == ([], {"flights": 1})
    assert alone.database.waiting() == {}
    alone.close()
    other.close()


def first_settling(replicas: list[Replica], log: PredictionLog) -> tuple[list, dict[str, int]]:
    """One of them sees to it; which one is of no account."""
    results = [replica.feedback.settle(log, KEEP) for replica in replicas]
    (result,) = [each for each in results if each != ([], {})] or [([], {})]
    return result


@pytest.mark.parametrize("labelled", [False, True])
def test_labels_of_a_replica_that_is_gone_for_good_are_joined_through_the_log(
    replicas: list[Replica], record: Make, log: PredictionLog, clock: Stepped, march: datetime, labelled: bool
) -> None:
    *left, gone = replicas
    shadow = {"role": "shadow", "version": "1.2.0", "beside": Answered("1.0.0", "champion", "ok")}
    gone.spool.append([record(number, unit=f"u{number}") for number in range(4)])
    for replica in replicas:
        replica.spool.append([record(3, request=f"again at {replica.spool.id}", unit="u3")])  # retries
    gone.spool.append([record(0, unit="u0", **shadow), record(1, request="again", unit="u1")])
    if labelled:
        gone.feedback.take([("p0", "on_time", None), ("p3", "late", None)], model="flights")
    log.ship(gone.spool)
    clock.time += timedelta(days=45)
    sent = [("p0", "late", None), ("p1", "late", None), ("?", "late", None)]
    assert left[0].feedback.take(sent, model="flights").pending == 3
    exchange(left)
    (taken,), unmatched = first_settling(left, log)
    assert (taken.result.accepted, taken.result.corrections, unmatched) == (2, int(labelled), {})
    assert left[0].database.waiting() == {"flights": 1}, "it may be one that the lost replica had not shipped"
    entries = {entry["prediction_id"]: entry for replica in left for entry in replica.entries()}
    arms = {name: [(arm["version"], arm["unit"]) for arm in entry["arms"]] for name, entry in entries.items()}
    assert arms == {"p0": [] if labelled else [("1.0.0", "u0"), ("1.2.0", "u0")], "p1": [("1.0.0", "u1")]}
    assert (entries["p1"]["request"], entries["p0"]["correction"]) == ("r1", labelled)

    for name in ("p0", "p3"):
        assert left[1].feedback.take([(name, "late", None)], model="flights").accepted == 1
    exchange(left)
    first_settling(left, log)
    exchange(left)
    evidence = [entry["prediction_id"] for replica in left for entry in replica.entries() if entry["arms"]]
    assert sorted(evidence) == (["p1"] if labelled else ["p0", "p1", "p3"]), "the same once more changes nothing"
    for replica in left:
        log.ship(replica.spool)
    label = {row["prediction_id"]: row["label"] for row in log.labelled("flights", march, march + KEEP).to_pylist()}
    assert (label["p0"], label["p2"]) == ("late", None)

    clock.time += KEEP + timedelta(days=1)  # the one that waits is of nobody, and the lost replica is forgotten
    exchange(left)
    assert first_settling(left, log) == ([], {"flights": 1})


def test_a_replica_that_comes_back_finds_the_labels_that_came_meanwhile(
    replicas: list[Replica], record: Make, log: PredictionLog, clock: Stepped
) -> None:
    *left, back = replicas
    back.spool.append([record(0)])
    clock.time += timedelta(minutes=10)
    left[0].feedback.take([("p0", "late", None)], model="flights")
    exchange(left)
    assert first_settling(left, log) == ([], {})
    back.feedback.exchange()
    (entry,) = back.entries()
    assert len(entry["arms"]) == 1


def test_what_waits_for_an_erased_prediction_is_removed(replicas: list[Replica], record: Make) -> None:
    here, *_ = replicas
    for model in ("flights", "other"):
        here.feedback.take([("p0", "late", None), ("p1", "late", None)], model=model)
    here.feedback.forget("flights", ["p0"])
    assert here.database.waiting() == {"flights": 1, "other": 2}


def test_old_predictions_await_no_label_and_the_index_does_not_grow(
    spool: Spool, record: Make, march: datetime
) -> None:
    """The rows of a window stay; what is older is gone, and its room is used again."""
    sizes = []
    for day in range(30):
        at = march + timedelta(days=day)
        ids = [f"{day}-{number}" for number in range(1_000)]
        spool.append([record(0, prediction_id=name, request=name, received_at=at) for name in ids])
        spool.index()
        spool.prune(at - timedelta(days=10))
        spool.awaiting._file.checkpoint()
        sizes.append((spool.path.parent / "spool.awaiting.sqlite").stat().st_size)
        assert len(spool.awaited("flights", ids)) == 1_000
    assert sizes[-1] <= 1.1 * sizes[12]
    days = [len(spool.awaited("flights", [f"{day}-{number}" for number in range(1_000)])) for day in range(30)]
    assert days == [0] * 19 + [1_000] * 11
    assert spool.feedback([("18-5", "late", None), ("19-5", "late", None)], model="flights").unknown == ["18-5"]
