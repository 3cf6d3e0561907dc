"""whylogs profiles held against whylogs' own, and the files they are kept in."""

import html
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.errors import ArtifactNotFoundError, InvalidInputError, StorageError
from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours
from mlops_dagster.predictions import PredictionLog, PredictionRecord, Role, Spool
from mlops_dagster.predictions.log import log as log_module
from mlops_dagster.storage.files import Files, LocalFiles, open_files
from tests.support.predictions.records import a_record
from tests.support.weed import client

MARCH = datetime(2013, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def profile_hour(log: PredictionLog, model: str, hour: datetime, files: Files) -> list[str]:
    return profile_hours(log, model, hour, hour + HOUR, files).get(hour, [])


def rows(count: int, hour: int = 0, version: str = "1.0.0", role: Role = "champion") -> list[PredictionRecord]:
    generator = np.random.default_rng(hour)
    return [
        a_record(
            number,
            prediction_id=f"{version}-{hour}-{number}",
            event_time=MARCH + hour * HOUR + timedelta(seconds=number % 3600),
            version=version,
            role=role,
            features={
                "delay": None if number % 7 == 0 else float(generator.normal(10, 20)),
                "carrier": None if number % 11 == 0 else str(generator.choice(["AA", "B6", "UA"])),
            },
            prediction="late" if number % 3 else "on_time",
            score=float(generator.random()),
        )
        for number in range(count)
    ]


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., PredictionLog]:
    """A log with these rows (more, when asked again)."""
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(tmp_path / "log")

    def holding(*batches: list[PredictionRecord]) -> PredictionLog:
        for batch in batches:
            spool.append(batch)
        log.ship(spool)
        return log

    return holding


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "profiles")


def summary(address: str) -> pd.DataFrame:
    """What whylogs itself reads in a file: a row for each column."""
    import whylogs

    frame: pd.DataFrame = whylogs.read(address).view().to_pandas()
    return frame


def test_a_profile_says_what_whylogs_itself_says_of_the_rows(
    log: Callable[..., PredictionLog], files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = rows(500)
    (address,) = profile_hour(log(its), "flights", MARCH, files)
    found = summary(address)

    import whylogs

    monkeypatch.setattr(np, "unicode_", np.str_, raising=False)  # which whylogs asks for, and numpy 2 has not
    frame = pd.DataFrame(
        {
            "feature_delay": [row.features["delay"] for row in its],
            "feature_carrier": [row.features["carrier"] for row in its],
            "prediction": [row.prediction for row in its],
            "score": [row.score for row in its],
        }
    )
    expected = whylogs.log(frame).view().to_pandas()
    assert set(found.index) == {*expected.index, "latency_ms", "status"}
    of_numbers = ["mean", "stddev", "n", "min", "max", "median", "q_01", "q_25", "q_99"]
    shared = ["counts/n", "counts/null", "types/fractional", "types/string", "cardinality/est"]
    for column in frame.columns:
        for metric in [*shared, *(f"distribution/{name}" for name in of_numbers)]:
            values = found.loc[column, metric], expected.loc[column, metric]
            assert values[0] == pytest.approx(values[1], rel=1e-9, nan_ok=True), (column, metric)
    for column in ("feature_carrier", "prediction"):
        items = [frame.loc[column, "frequent_items/frequent_strings"] for frame in (found, expected)]
        assert len({tuple((item.value, item.est) for item in each) for each in items}) == 1
    assert found.loc["feature_delay", "counts/null"] == 72
    assert expected.loc["feature_carrier", "types/string"] == 454


def test_two_profiles_are_compared_in_the_viewer_of_whylogs(
    log: Callable[..., PredictionLog], files: LocalFiles
) -> None:
    """Its statistics are those of the rows; few enough for its sketches to be exact."""
    first = rows(200)
    second = [
        row._replace(
            features={"delay": plus_15(row.features["delay"]), "carrier": carrier},
            event_time=row.event_time + HOUR,
            version="1.1.0",
        )
        for row, carrier in zip(rows(200, version="1.1.0"), ["UA", "UA", "UA", "AA", "B6"] * 40, strict=True)
    ]
    found = profile_hours(log(first, second), "flights", MARCH, MARCH + 2 * HOUR, files)

    import whylogs
    from scipy.stats import chi2, ks_2samp
    from whylogs.viz import NotebookProfileVisualizer
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    reference, target = (whylogs.read(address).view() for (address,) in found.values())
    scores = calculate_drift_scores(target, reference, with_thresholds=True)
    for column, feature in (("feature_delay", "delay"), ("score", None)):
        values = [
            [row.features[feature] if feature else row.score for row in side if not feature or row.features[feature]]
            for side in (second, first)
        ]
        expected = ks_2samp(*values, method="asymp").statistic
        assert scores[column]["statistic"] == pytest.approx(expected, abs=0.011), "it looks at 100 quantiles"
    assert scores["feature_delay"]["pvalue"] < 1e-6
    assert scores["score"]["pvalue"] == 1, "the same scores"
    assert [scores[name]["drift_category"] for name in ("feature_delay", "score")] == ["DRIFT", "NO_DRIFT"]

    was, now = (Counter(row.features["carrier"] for row in side if row.features["carrier"]) for side in (first, second))
    moved = sum((now[name] - was[name]) ** 2 / was[name] for name in was)
    assert scores["feature_carrier"]["statistic"] == pytest.approx(moved)
    assert scores["feature_carrier"]["pvalue"] == pytest.approx(chi2.sf(moved, len(now) - 1))
    assert scores["feature_carrier"]["pvalue"] < 1e-6
    assert scores["prediction"]["pvalue"] == 1, "the same answers"

    viewer = NotebookProfileVisualizer()
    viewer.set_profiles(target_profile_view=target, reference_profile_view=reference)
    report = html.unescape(viewer.summary_drift_report().data)
    for column in scores:
        assert f'"{column}": {{"histogram"' in report
    assert str(float(scores["feature_delay"]["pvalue"])) in report
    drawn = html.unescape(viewer.double_histogram("feature_delay").data)
    largest = max(float(row.features["delay"] or 0) for row in first)
    shown = sorted(float(found) for found in re.findall(r'"max": ([-\d.]+)', drawn))
    assert shown == pytest.approx([largest, largest + 15])
    assert '"UA"' in html.unescape(viewer.distribution_chart("feature_carrier").data)


def plus_15(value: float | str | None) -> float | None:
    return None if value is None else float(value) + 15


def test_every_version_and_hour_has_its_own_and_they_add_up(
    log: Callable[..., PredictionLog], files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "_ROWS_AT_ONCE", 7)
    held = log(
        rows(40, hour=0),
        rows(30, hour=0, version="1.1.0", role="shadow"),
        rows(20, hour=0, version="1.1.0", role="paired"),
        rows(10, hour=23),
        rows(5, hour=24, version="1.1.0"),
        [a_record(0, role="none", version="", status="rejected", prediction=None, score=None, features={})],
    )
    found = profile_hours(held, "flights", MARCH, MARCH + 48 * HOUR, files)
    names = {
        hour: [str(Path(address).relative_to(files._path)) for address in addresses]
        for hour, addresses in found.items()
    }
    assert names == {
        MARCH: ["flights/1.0.0/2013-03-01T00.bin", "flights/1.1.0/2013-03-01T00.bin"],
        MARCH + 23 * HOUR: ["flights/1.0.0/2013-03-01T23.bin"],
        MARCH + 24 * HOUR: ["flights/1.1.0/2013-03-02T00.bin"],
    }

    import whylogs

    views = [whylogs.read(address).view() for addresses in found.values() for address in addresses]
    counts = [view.get_column("score").get_metric("counts").n.value for view in views]
    assert counts == [40, 50, 10, 5]
    assert views[0].merge(views[2]).get_column("score").get_metric("distribution").n == 50
    assert (views[1].dataset_timestamp, views[1].metadata["version"]) == (MARCH, "1.1.0")


def test_a_profile_is_written_once_and_late_rows_are_not_in_it(
    log: Callable[..., PredictionLog], files: LocalFiles
) -> None:
    (address,) = profile_hour(log(rows(40)), "flights", MARCH, files)
    written = Path(address).read_bytes()
    late = [a_record(n, prediction_id=f"late {n}", event_time=MARCH) for n in range(9)]
    assert profile_hour(log(late), "flights", MARCH, files) == [address]
    assert Path(address).read_bytes() == written
    assert summary(address).loc["score", "counts/n"] == 40
    assert not os.access(address, os.W_OK) or os.geteuid() == 0
    assert [file.name for file in Path(address).parent.iterdir()] == ["2013-03-01T00.bin"]


def test_no_rows_make_no_file_and_a_part_of_an_hour_is_refused(
    log: Callable[..., PredictionLog], files: LocalFiles
) -> None:
    assert profile_hour(log(rows(5, hour=3)), "flights", MARCH, files) == []
    with pytest.raises(InvalidInputError, match="2013-03-01T00:30:00"):
        profile_hour(log(), "flights", MARCH + HOUR / 2, files)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Each implementation, as the settings of the artifacts open it."""
    if request.param == "local":
        return open_files(str(tmp_path), "profiles")
    return open_files(f"s3://{request.getfixturevalue('s3')}/models", "profiles")


def test_a_file_keeps_its_first_content(store: Files) -> None:
    address = store.add("m/1.0.0/2013-03-01T05.bin", b"first")
    assert address.endswith("/profiles/m/1.0.0/2013-03-01T05.bin")
    assert store.add("m/1.0.0/2013-03-01T05.bin", b"second") == address
    assert store.add("m/1.0.1/2013-03-01T05.bin", b"third") != address
    assert store.read("m/1.0.0/2013-03-01T05.bin") == b"first"
    assert store.has("m/1.0.0/2013-03-01T05.bin")
    assert not store.has("m/1.0.0/2013-03-01T06.bin")
    assert store.link("m/1.0.0/2013-03-01T05.bin").endswith("/profiles/m/1.0.0/2013-03-01T05.bin")
    with pytest.raises(ArtifactNotFoundError, match="2013-03-01T06"):
        store.read("m/1.0.0/2013-03-01T06.bin")


def test_a_file_is_replaced_listed_and_let_go_of(store: Files) -> None:
    address = store.put("m/1.parquet", b"first")
    assert address == store.address("m/1.parquet")
    assert store.put("m/1.parquet", b"second") == address
    store.put("m/below/2.json", b"{}")
    store.put("mm/3.json", b"{}")
    assert store.read("m/1.parquet") == b"second"
    assert store.names("m") == ["m/1.parquet", "m/below/2.json"]
    assert store.names("nobody") == []
    for _ in range(2):
        store.remove("m/1.parquet")
    assert store.names("m") == ["m/below/2.json"]
    assert not store.has("m/1.parquet")


def test_profiles_go_to_s3_and_are_read_back(log: Callable[..., PredictionLog], s3: str, s3_server: str) -> None:
    from whylogs.core.view.dataset_profile_view import DatasetProfileView

    files = open_files(f"s3://{s3}/models", "profiles")
    (address,) = profile_hour(log(rows(40)), "flights", MARCH, files)
    assert address == f"s3://{s3}/models/profiles/flights/1.0.0/2013-03-01T00.bin"
    key = address.removeprefix(f"s3://{s3}/")
    content = client(s3_server).get_object(Bucket=s3, Key=key)["Body"].read()
    assert DatasetProfileView.deserialize(content).get_column("score").get_metric("counts").n.value == 40


def test_a_store_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "profiles").touch()
    with pytest.raises(StorageError, match="profiles"):
        LocalFiles(tmp_path / "profiles").add("m/1.0.0/2013-03-01T05.bin", b"")


def test_whylogs_phones_nobody() -> None:
    """A fresh process in which each connection and each name that is looked up is noted."""
    program = (
        "import json, sys\n"
        "noted = []\n"
        "names = ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto')\n"
        "sys.addaudithook(lambda event, args: noted.append(event) if event in names else None)\n"
        "import mlops_dagster.monitoring.pages.whylogs_columns\n"
        "import threading, whylogs\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.current_thread()]\n"
        "from whylogs.api.usage_stats import emit_usage\n"
        "emit_usage('anything')\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.current_thread()]\n"
        "print(json.dumps(noted))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "WHYLOGS_NO_ANALYTICS"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
