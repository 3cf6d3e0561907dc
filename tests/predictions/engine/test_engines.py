"""What every engine gives: the answers that plain Python counts from the rows and labels of the same log."""

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import CorruptedError, InvalidInputError, StorageError
from mlops_dagster.predictions import INTERVAL, ByInterval, ByValue, PredictionLog, Spool, open_engine
from mlops_dagster.predictions.engine.embedded import EmbeddedEngine
from mlops_dagster.predictions.engine.engine import Engine, Source, Statement
from mlops_dagster.predictions.log.statements.latencies import Quantiles
from mlops_dagster.tasks.calibration import Bracket, Calibration
from tests.support.predictions.answers import counted
from tests.support.predictions.records import MARCH, a_record

DAY = timedelta(days=1)
ODD = 'a "quoted" `name`, with é'
EDGES = (-1.5, 0.1, 3.0)
PARTS = (ByValue("gate"), ByInterval(ODD, EDGES), ByValue("Gate"), ByValue("unheard of"), ByInterval("gate", (7.5,)))
BRACKETS = {
    "late": (Bracket(-math.inf, {"late": 1}), Bracket(0.3, {"late": 1})),
    "ok": (Bracket(-math.inf, {"ok": 1}),),
}


@pytest.fixture(scope="module", params=["embedded", "spark"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """DuckDB in this process, and a real Spark Connect server: Sail."""
    if request.param == "embedded":
        yield open_engine(None)
        return
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    yield open_engine(f"sc://127.0.0.1:{server.listening_address[1]}")
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three days: ids that repeat, failed requests, corrections, features that change their kind."""
    chance = random.Random(4)  # noqa: S311 - not for secrets
    folder = tmp_path_factory.mktemp("log") / "log"
    spool, log = Spool(folder.parent / "spool.sqlite"), PredictionLog(folder)
    for start in range(0, 180, 60):
        records, labels = [], []
        for number in range(start, start + 60):
            its = {
                "prediction_id": f"p{number - number % 2}" if number % 20 == 1 else f"p{number}",
                "event_time": MARCH + timedelta(minutes=24 * number, microseconds=chance.randrange(1000)),
                "version": chance.choice(["1.0.0", "1.1.0"]),
                "latency_ms": chance.choice([0.0, 5.0, chance.random() * 100]),
                "score": chance.choice([0.3, chance.random()]),
            }
            features: dict[str, float | str | None] = {"gate": chance.choice([7.0, 8.0, "B4", None])}
            if start:
                features |= {ODD: chance.choice([-1.5, 0.1, 0.1 + 1e-16, chance.gauss(0, 3), None]), "Gate": "x"}
            failed = chance.random() < 0.1
            status, prediction = ("failed", None) if failed else ("ok", chance.choice(["late", "ok", "lost"]))
            answer = a_record(number, status=status, prediction=prediction, features=features, **its)
            records.append(answer)
            if chance.random() < 0.5:
                its |= {"version": "0.9.0", "latency_ms": 1.0}
                records.append(a_record(number, role="shadow", prediction="late", features=features, **its))
            if chance.random() < 0.8:
                for _ in range(chance.choice([1, 1, 3])):
                    at = answer.event_time + timedelta(hours=chance.randrange(200))
                    labels.append((answer.prediction_id, chance.choice(["late", "ok"]), at))
        records.append(a_record(1000 + start, role="none", version="", status="rejected", prediction=None))
        spool.append([*records, a_record(2000 + start, model="other", prediction_id=f"p{start}")])
        spool.feedback(labels, model="flights")
        spool.feedback([(f"p{start}", "late", None)], model="other")
        log.ship(spool)
    return folder


def rows_of(log: PredictionLog) -> list[dict[str, object]]:
    """The rows of the first two days with their valid labels, joined in Python."""
    valid: dict[tuple[str, str], tuple[object, ...]] = {}
    with log.label_rows() as labels:
        for each in labels.to_table().to_pylist():
            if each["model"] == "flights":
                key, known = (each["prediction_id"], each["request"]), (each["at"], each["received_at"], each["number"])
                if key not in valid or valid[key][:3] < known:
                    valid[key] = (*known, each["label"])
    rows = log.read("flights", MARCH, MARCH + 2 * DAY, roles=("champion", "shadow", "none")).to_pylist()
    nothing = (None, None, None, None)
    return [
        row
        | {"label": (found := valid.get((row["prediction_id"], row["request"]), nothing))[3], "labelled_at": found[0]}
        for row in rows
    ]


def counted_rows(table: pa.Table, *names: str) -> Counter[tuple[object, ...]]:
    found: Counter[tuple[object, ...]] = Counter()
    for row in table.to_pylist():
        found[row["version"], row["role"], row["prediction"], row["label"], *(row[name] for name in names)] += row["n"]
    return found


def test_every_engine_counts_the_answers_as_python_does(engine: Engine, folder: Path) -> None:
    log = PredictionLog(folder, engine)
    rows = [row for row in rows_of(log) if row["version"]]
    roles = ("champion", "shadow", "none")
    found = log.answers("flights", MARCH, MARCH + 2 * DAY, PARTS, roles)

    def judged(*values: object) -> Counter[tuple[object, ...]]:
        known = [row for row in rows if row["label"] is not None and row["prediction"] is not None]
        keys = ("version", "role", "prediction", "label")
        return Counter(
            (*(row[key] for key in keys), *(value(row) if callable(value) else row.get(value) for value in values))
            for row in known
        )

    def interval(column: str, edges: tuple[float, ...]) -> object:
        return lambda row: None if row[column] is None else bisect_right(edges, row[column])

    assert counted_rows(found.hours, "hour") == judged(lambda row: row["event_time"].hour)
    assert found.parts.keys() == set(PARTS) - {ByValue("unheard of")}
    gate = ("feature_gate", "feature_gate__text")
    assert counted_rows(found.parts[ByValue("gate")], *gate) == judged(*gate)
    (other,) = set(found.parts[ByValue("Gate")].column_names) - {"version", "role", "prediction", "label", "n"}
    assert counted_rows(found.parts[ByValue("Gate")], other) == judged(other)
    for part in (PARTS[1], PARTS[4]):
        assert counted_rows(found.parts[part], INTERVAL) == judged(interval(f"feature_{part.feature}", part.edges))
    for (version, role), its in found.requests.items():
        arm = [row for row in rows if (row["version"], row["role"]) == (version, role)]
        assert (its.rows, its.errors) == (len(arm), sum(row["status"] == "failed" for row in arm))
        assert list(its.latencies) == np.quantile([row["latency_ms"] for row in arm], [0.5, 0.95, 0.99]).tolist()
    assert len(found.requests) == 3


def test_every_engine_joins_the_labels_as_python_does(engine: Engine, folder: Path) -> None:
    log = PredictionLog(folder, engine)
    expected = [{"model": "flights", **row} for row in rows_of(log)]
    found = log.labelled("flights", MARCH, MARCH + 2 * DAY, ("champion", "shadow", "none"))
    assert found.to_pylist() == expected
    (one,) = [row for row in expected if row["prediction_id"] == "p2" and row["role"] == "champion"]
    assert log.get("p2", "flights") == one
    labelled = {(row["prediction_id"], row["request"]) for row in expected if row["label"] is not None}
    everything = log.labelled("flights", MARCH, MARCH + 9 * DAY).to_pylist()
    assert log.count_labelled("flights") == len(
        {(row["prediction_id"], row["request"]) for row in everything if row["label"]}
    )
    assert len(labelled) > 50
    with log.label_rows() as rows:
        days = Counter(row["event_time"].date() for row in rows.to_table().to_pylist() if row["model"] == "flights")
    assert log.label_counts("flights", MARCH) == days


def test_every_engine_places_scores_as_the_calibration_does(engine: Engine, folder: Path) -> None:
    calibration, log = Calibration(BRACKETS), PredictionLog(folder, engine)
    its = [row for row in rows_of(log) if (row["version"], row["role"]) == ("1.0.0", "champion") and row["prediction"]]
    expected = Counter((row["prediction"], calibration.place(row["prediction"], row["score"])) for row in its)  # type: ignore[arg-type]
    assert log.places("flights", "1.0.0", MARCH, MARCH + 2 * DAY, calibration) == expected
    assert {place for _, place in expected} == {0, 1, None}


def test_a_statement_that_cannot_be_run_is_an_error_of_the_storage(engine: Engine) -> None:
    with pytest.raises(StorageError):
        engine.run(Statement("SELECT nothing FROM t", {"t": Source(pa.table({"a": [1]}), {"a": "a"})}))


def test_folders_are_taken_literally_and_a_file_that_is_damaged_is_named_as_damage(tmp_path: Path) -> None:
    folder = tmp_path / "größe #1? * 100%"
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(folder)
    spool.append([a_record(0)])
    log.ship(spool)
    assert log.answers("flights", MARCH, MARCH + DAY).requests["1.0.0", "champion"].rows == 1
    next(folder.rglob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(CorruptedError, match="gone or damaged"):
        log.answers("flights", MARCH, MARCH + DAY)


def test_an_engine_elsewhere_is_a_spark_connect_server() -> None:
    with pytest.raises(InvalidInputError, match="MLOPS_ENGINE is sc://host:port"):
        open_engine("spark://cluster:7077")
    assert isinstance(open_engine(None), EmbeddedEngine)


def test_a_server_that_is_away_is_an_error_that_shows_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_dagster.predictions.engine.spark._RETRIES", 1)
    with pytest.raises(StorageError, match=r"the engine at sc://127\.0\.0\.1:9 did not run") as refusal:
        open_engine("sc://127.0.0.1:9/;token=secret").run(
            Statement("SELECT a FROM t", {"t": Source(pa.table({"a": [1]}), {"a": "a"})})
        )
    assert "secret" not in refusal.value.message


latencies = st.lists(
    st.one_of(st.none(), st.just(float("nan")), st.just(0.0), st.sampled_from([4.0, 4.001, 4.002]), st.floats(0, 1e6)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(latencies)
def test_quantiles_of_latency_are_exact(values: list[float | None]) -> None:
    n = len(values)
    rows = {"version": ["1"] * n, "role": ["champion"] * n, "status": ["ok"] * n, "latency_ms": values}
    found = counted(pa.table(rows)).requests["1", "champion"]
    known = [value for value in values if value is not None and not math.isnan(value)]
    expected = np.quantile(known, [0.5, 0.95, 0.99]).tolist() if known else [math.nan] * 3
    assert found.rows == n
    np.testing.assert_allclose(found.latencies, Quantiles(*expected), rtol=1e-15)
