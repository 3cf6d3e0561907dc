"""Whatever is done at whatever time, what the registry has said of a past time stays true."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.clock import ReplayedClock, SystemClock
from mlops_dagster.errors import EventTimeError
from mlops_dagster.registry import Deployment, ModelRegistry, Stage
from mlops_dagster.registry.stores.event_time import CLOCKS_DIFFER, LATE, EventTimes, event_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2013, 3, 1, tzinfo=UTC)
HOURS = st.integers(-60, 60).map(lambda n: timedelta(hours=n)) | st.integers(-9_000, 9_000).map(
    lambda n: timedelta(days=n)
)


@given(steps=st.lists(st.tuples(st.sampled_from(["now", "replayed"]), HOURS, st.booleans(), st.integers(0, 3_000))))
def test_time_goes_forward_whoever_writes(steps: list[tuple[str, timedelta, bool, int]]) -> None:
    """`answered` holds which event was the last one before each time of which somebody was told.

    Of the present moment itself nothing is told for good: two events may share it.
    """
    machine = NOW
    events: list[EventTimes] = []
    answered: dict[datetime, int] = {}
    for base, offset, urgent, seconds in steps:
        machine += timedelta(seconds=seconds)
        asked = (machine if base == "now" else START) + offset
        last = events[-1] if events else None
        try:
            at = event_time(asked, machine, last, model="flights", urgent=urgent)
        except EventTimeError:
            assert not urgent
        else:
            assert at <= machine
            events.append(EventTimes(at, machine))
            live = machine - at <= CLOCKS_DIFFER
            then = (machine if live else at) - timedelta(microseconds=1)
            answered.setdefault(then, _last_before(events, then))
        assert all(_last_before(events, then) == seen for then, seen in answered.items())


def _last_before(events: list[EventTimes], then: datetime) -> int:
    """As `registry.as_of` looks: the event written last, of those up to then."""
    return max((number for number, event in enumerate(events) if event.at <= then), default=-1)


@pytest.mark.parametrize("late", [timedelta(), LATE])
def test_a_replayed_clock_that_lags_writes_at_present(late: timedelta) -> None:
    last = EventTimes(START, recorded_at=NOW)
    assert event_time(START - late, NOW, last, model="flights") == START
    with pytest.raises(EventTimeError, match=r"at 2013-02-27T.*has come to 2013-03-01T.*another MLOPS_HOME"):
        event_time(START - LATE - timedelta(hours=1), NOW, last, model="flights")


def test_a_machine_whose_clock_is_behind_still_rolls_back() -> None:
    last = EventTimes(NOW, recorded_at=NOW)
    behind = NOW - timedelta(days=3)
    assert event_time(behind, behind, last, model="flights", urgent=True) == NOW


def test_nothing_happens_in_the_future() -> None:
    with pytest.raises(EventTimeError, match=r"at 2062-.*but it is 2026-06-01.*correct the year"):
        event_time(NOW.replace(year=2062), NOW, None, model="flights")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    (tmp_path / "model.onnx").write_text("weights")
    return tmp_path


NUMBERS = count()


def test_as_of_stays_what_it_was(home: Path, card) -> None:
    """A registry that was replayed and is live since, and writers with all kinds of clocks."""

    @settings(max_examples=15)
    @given(writes=st.lists(st.tuples(st.sampled_from(["register", "promote", "hold", "roll back"]), HOURS), max_size=6))
    def holds(writes: list[tuple[str, timedelta]]) -> None:
        model = f"model-{next(NUMBERS)}"
        url = f"sqlite:///{home}/mlops.sqlite"
        replayed = ModelRegistry(url, clock=ReplayedClock(START))
        first = replayed.register(model, home / "model.onnx", card=card)
        live = ModelRegistry(url)
        live.transition(first, Stage.PRODUCTION)
        answered: dict[datetime, Deployment] = {}
        for act, offset in writes:
            now = SystemClock().now()
            for then in (START, START + timedelta(days=1), now - timedelta(hours=1), now):
                answered.setdefault(then, live.as_of(model, then))
            chosen = ModelRegistry(url, clock=ReplayedClock(now + offset))
            try:
                _do(chosen, model, act, home, card)
            except EventTimeError:
                assert act not in ("hold", "roll back")
            chosen.close()
            assert {then: live.as_of(model, then) for then in answered} == answered
        live.audit()
        live.close()
        replayed.close()

    holds()


def _do(registry: ModelRegistry, model: str, act: str, home: Path, card) -> None:
    if act == "hold":
        registry.hold(model, "the feed is broken")
    elif act == "roll back":
        if registry.deployment(model).previous is not None:
            registry.rollback(model, reason="bad")
    else:
        version = registry.register(model, home / "model.onnx", card=card)
        if act == "promote":
            registry.transition(version, Stage.PRODUCTION)
