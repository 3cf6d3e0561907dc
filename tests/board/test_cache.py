"""The cache of snapshots."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from mlops_dagster.board.snapshot import cache as module
from mlops_dagster.board.snapshot.cache import Cache, with_last_good
from mlops_dagster.board.snapshot.entities import Snapshot
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import ModelNotFoundError
from tests.support.board import AT, example, troubled


class Home:
    """Stands for the stores: the cache needs their clock only, as snapshots are made here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ReplayedClock(AT)
        self.seconds = 0.0
        self.next = example()
        self.taken: list[tuple[object, int, str | None]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        monkeypatch.setattr(module, "snapshot", self.snapshot)
        self.cache = Cache(self, monotonic=lambda: self.seconds)  # type: ignore[arg-type]  # see above

    def snapshot(self, _stores: object, at: object, *, page: int, model: str | None) -> Snapshot:
        self.taken.append((at, page, model))
        assert self.go_on.wait(10)
        if model == "unknown":
            raise ModelNotFoundError("no model 'unknown'")
        return self.next


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(monkeypatch)


def test_ten_viewers_at_once_cost_one_snapshot(home: Home) -> None:
    home.go_on.clear()
    with ThreadPoolExecutor(10) as pool:
        seen = [pool.submit(home.cache.get) for _ in range(10)]
        home.go_on.set()
        assert {id(each.result()) for each in seen} == {id(home.next)}
    assert home.taken == [(AT, 1, None)]


def test_a_snapshot_is_given_out_for_two_seconds(home: Home) -> None:
    home.cache.get()
    home.seconds, home.next = 1.9, replace(example(), name="later")
    assert home.cache.get().name == "acme-prod"
    home.seconds = 2.0
    assert home.cache.get().name == "later"
    assert len(home.taken) == 2


def test_each_page_model_and_time_is_another_snapshot(home: Home) -> None:
    then = AT - timedelta(days=1)
    home.cache.get()
    home.cache.get(page=2)
    home.cache.get(model="ranker")
    home.cache.get(then)
    assert home.taken == [(AT, 1, None), (AT, 2, None), (AT, 1, "ranker"), (then, 1, None)]


def test_the_last_good_content_stays_with_its_time(home: Home) -> None:
    home.cache.get()
    broken = troubled()
    for minute in (1, 2):  # the content lasts through a second failure too
        home.seconds, home.next = 60.0 * minute, replace(broken, at=AT + timedelta(minutes=minute))
        found = home.cache.get()
        assert (found.drift.unavailable, found.drift.as_of) == (broken.drift.unavailable, AT)
        assert found.drift.content == example().drift.content
        assert found.figures.latency.content == example().figures.latency.content
    home.seconds, home.next = 180.0, example()
    assert home.cache.get().drift.unavailable == ""


def test_content_that_was_never_known_stays_unknown() -> None:
    assert with_last_good(troubled(), troubled()).drift.content is None


def test_an_error_is_not_kept(home: Home) -> None:
    for _ in range(2):
        with pytest.raises(ModelNotFoundError):
            home.cache.get(model="unknown")
    assert len(home.taken) == 2
