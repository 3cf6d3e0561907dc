"""What one table of the log does not take holds up no other: it is kept, counted, and goes in once it is taken."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import CorruptedError, StorageError
from mlops_dagster.inference import arrow_column, columns_of
from mlops_dagster.names import check_feature_name
from mlops_dagster.predictions import PredictionLog, Spool, audit
from mlops_dagster.predictions.erasure.erase import Choice, erase
from mlops_dagster.predictions.log import writer
from mlops_dagster.schema import Feature
from tests.support.predictions.records import MARCH, a_record

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_STEP_SECONDS", 0.0)


@pytest.fixture(params=["damaged", "no folder", "a panic", "no rows"])
def break_log(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Breaks the log of one model in one of the ways that were seen; gives what mends it."""
    folder = tmp_path / "log" / "predictions" / "poison"
    commit = folder / "_delta_log" / f"{0:020}.json"

    def breaks() -> Callable[[], object]:
        if request.param == "damaged":
            whole = commit.read_bytes()
            commit.write_bytes(b"")
            return lambda: commit.write_bytes(whole)
        if request.param == "no folder":
            away = folder.rename(tmp_path / "away")
            folder.write_text("a file")
            return lambda: (folder.unlink(), away.rename(folder))
        real = writer.LogWriter._append_predictions
        panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
        if request.param == "a panic":
            from mlops_dagster.predictions.log.delta import tables as delta

            written = delta.write_deltalake

            def panics(table, *args, **options):
                if "poison" in table.table_uri:
                    raise panic("a slice index out of range")
                return written(table, *args, **options)

            monkeypatch.setattr(delta, "write_deltalake", panics)
            return lambda: monkeypatch.setattr(delta, "write_deltalake", written)

        def refuses(self, name, *rest):
            if name.endswith("poison"):
                raise TypeError("Ada cannot be converted to a number")
            return real(self, name, *rest)

        monkeypatch.setattr(writer.LogWriter, "_append_predictions", refuses)
        return lambda: monkeypatch.setattr(writer.LogWriter, "_append_predictions", real)

    return breaks


def fill(spool: Spool, first: int, rows: int = 3) -> None:
    for number in range(first, first + rows):
        spool.append([a_record(number, model="poison"), a_record(number), a_record(number, model="other")])


def test_a_log_that_is_broken_holds_up_no_other(break_log, spool: Spool, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log")
    spool.marks.keep_for(["shipped"])
    fill(spool, 0)
    log.ship(spool)
    mend = break_log()
    for first in (3, 6):
        fill(spool, first)
        assert PredictionLog(tmp_path / "log").ship(spool) == 6
    spool.append([a_record(9, model="poison")])
    # The newest entry of all is not in the log, which is no sign of a loss.
    assert PredictionLog(tmp_path / "log").ship(spool) == 0
    assert spool.read(0) == []
    assert (log.count("flights"), log.count("other")) == (9, 9)
    (held,) = spool.held.tables()
    assert (held.table, held.entries, held.oldest) == ("predictions/poison", 7, MARCH + 5000 * DAY)
    assert "Ada" not in held.reason
    assert (spool.depth().entries, spool.depth().oldest) == (7, MARCH + 5000 * DAY)
    with pytest.raises(StorageError, match="held back"):
        erase(
            PredictionLog(tmp_path / "log"),
            spool,
            [],
            Choice("poison", keys=("N1",)),
            actor="me",
            reason="asked",
            at=MARCH,
        )
    mend()
    found = audit(spool, log)
    assert found.complete, found
    assert (found.answered, found.logged, found.spooled) == (28, 21, 7)
    assert log.ship(spool) == 7
    assert (log.count("poison"), spool.held.tables(), spool.depth().entries) == (10, [], 0)
    assert audit(spool, log).complete


def test_a_killed_shipper_and_two_at_once_put_nothing_in_twice(spool: Spool, tmp_path: Path, monkeypatch) -> None:
    """Held, then in the table by somebody else, then held again by whoever comes late."""
    log, late = PredictionLog(tmp_path / "log"), PredictionLog(tmp_path / "log")
    fill(spool, 0)
    entries, held = spool.next_for_log(100)
    log.ship(spool)
    with monkeypatch.context() as broken:
        broken.setattr(late.writer, "_append_predictions", lambda *_: (_ for _ in ()).throw(CorruptedError("gone")))
        late.writer._append_or_hold(spool, entries, held)
    fill(spool, 3)
    released = spool.held.release
    monkeypatch.setattr(spool.held, "release", lambda *_: (_ for _ in ()).throw(StorageError("killed")))
    assert log.ship(spool) == 0
    monkeypatch.setattr(spool.held, "release", released)
    log.ship(spool)
    assert [log.count(model) for model in log.models()] == [6, 6, 6]
    assert audit(spool, log).complete


def test_a_log_that_cannot_be_written_at_all_moves_nothing(spool: Spool, tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log")
    fill(spool, 0)
    (tmp_path / "log").write_text("a file")
    with pytest.raises(StorageError):
        log.ship(spool)
    assert spool.held.tables() == []
    assert len(spool.read(0)) == 9
    (tmp_path / "log").unlink()
    assert log.ship(spool) == 9


shown = st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"])
names = st.one_of(
    st.sampled_from(["gate", "Gate", "GATE", "ɢate", "ﬁn", "fin", "a.b", "a b", "`", "ß", "SS", "ss", "K", "\u212a"]),
    st.text(shown, min_size=1, max_size=8),
)
values = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.text("xé7", max_size=3))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(names, values, min_size=1, max_size=6), min_size=1, max_size=5))
def test_every_feature_comes_back_under_its_name(tmp_path_factory, rows) -> None:
    """Shipped one after the other, as versions follow each other: whatever else is called like it, in whatever case."""
    folder = tmp_path_factory.mktemp("home")
    spool, log = Spool(folder / "spool.sqlite"), PredictionLog(folder / "log")
    rows = [{name: value for name, value in row.items() if _allowed(name)} for row in rows]
    for number, features in enumerate(rows):
        spool.append([a_record(number, features=features)])
        log.ship(spool)
    assert spool.held.tables() == []
    read = log.labelled("flights", MARCH, MARCH + DAY)
    for name in {name for row in rows for name in row}:
        for kind, type_ in (("numeric", float), ("categorical", str)):
            feature = Feature(name=name, kind=kind)
            found = arrow_column(read, feature)
            sent = [row.get(name) if isinstance(row.get(name), type_) else None for row in rows]
            assert (found.to_pylist() if found is not None else [None] * len(rows)) == sent, columns_of(feature)
    spool.close()


def _allowed(name: str) -> bool:
    try:
        return bool(check_feature_name(name))
    except ValueError:
        return False
