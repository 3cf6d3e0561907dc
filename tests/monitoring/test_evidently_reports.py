"""Evidently reports: a stated sample beside the exact numbers, drawn so that nothing in the rows is obeyed."""

import html
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.inference import feature_of
from mlops_dagster.monitoring import DriftPolicy, DriftReport, Verdict, drift
from mlops_dagster.monitoring.pages.evidently_reports import publish_report
from mlops_dagster.monitoring.pages.samples import rows_like, sample_served
from mlops_dagster.predictions import PredictionLog, PredictionRecord, Spool
from mlops_dagster.registry import Baseline, ModelVersion, Stage
from mlops_dagster.schema import Feature
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.storage.files import LocalFiles, open_files
from mlops_dagster.tasks.classification import SCORE_BINS
from tests.support.predictions.records import a_record
from tests.support.weed import client

pytestmark = pytest.mark.slow

MARCH = datetime(2013, 3, 1, tzinfo=UTC)
DAY = MARCH, MARCH + timedelta(days=1)
POLICY = DriftPolicy()
ATTACK = "</script></head><script>alert('owned')</script>"
SOURCE = "https://dagster.example.com/assets/flights/drift_report?view=partitions&partition=2013-03-01-23%3A00"
ROWS = 300
CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def served(count: int = 1000) -> list[PredictionRecord]:
    generator = np.random.default_rng(1)
    return [
        a_record(
            number,
            prediction_id=f"p{number}",
            features={
                "delay": float(generator.normal(12, 10)) if number % 20 else None,
                "rain": float(number % 4 == 0),
                "carrier": ATTACK if number % 50 == 0 else str(generator.choice(["AA", "B6"])),
                "broken": None,
                "overflown": float("inf"),
                "huge": 1e300,
            },
            score=float(generator.random()),
        )
        for number in range(count)
    ]


def trained(rows: int = 4000) -> Baseline:
    generator = np.random.default_rng(2)
    columns: dict[str, list[float] | list[str]] = {
        "delay": generator.normal(10, 10, rows).tolist(),
        "rain": generator.binomial(1, 0.25, rows).astype(float).tolist(),
        "carrier": generator.choice(["AA", "B6", "DL"], rows).tolist(),
        "broken": generator.random(rows).tolist(),
        "overflown": generator.random(rows).tolist(),
        "huge": generator.random(rows).tolist(),
    }
    bins = {
        name: CategoricalBins.fit(values) if name == "carrier" else NumericBins.fit(values)
        for name, values in columns.items()
    }
    return Baseline(
        features={name: Histogram.of(bins[name], values) for name, values in columns.items()},
        score=Histogram.of(SCORE_BINS, generator.random(rows)),
        label=Histogram.of(CategoricalBins(("on_time", "late")), ["late"] * rows),
    )


def judged(baseline: Baseline, rows: list[PredictionRecord]) -> DriftReport:
    counts = {name: its.bins.count([row.features[name] for row in rows]) for name, its in baseline.features.items()}
    return drift(baseline, {**counts, "score": baseline.score.bins.count([row.score for row in rows])}, POLICY)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> PredictionLog:
    folder = tmp_path_factory.mktemp("log")
    spool, log = Spool(folder / "spool.sqlite"), PredictionLog(folder / "log")
    spool.append([*served(), a_record(5, prediction_id="beside", role="shadow", version="1.1.0")])
    log.ship(spool)
    return log


@pytest.fixture(scope="module")
def champion() -> ModelVersion:
    return ModelVersion("flights", "1.0.0", "0", Stage.PRODUCTION, MARCH, baseline=trained())


@pytest.fixture(scope="module")
def report(champion: ModelVersion) -> DriftReport:
    assert champion.baseline is not None
    return judged(champion.baseline, served())


@pytest.fixture(scope="module")
def connections() -> Iterator[list[str]]:
    """Whatever this process connects to, or looks up, from now on."""
    noted: list[str] = []
    active = True
    sys.addaudithook(lambda event, _: noted.append(event) if active and event in CONNECTIONS else None)
    yield noted
    active = False


@pytest.fixture(scope="module")
def page(
    log: PredictionLog,
    champion: ModelVersion,
    report: DriftReport,
    connections: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    files = LocalFiles(tmp_path_factory.mktemp("reports"))
    link = publish_report(log, champion, report, *DAY, rows=ROWS, files=files, source=SOURCE)
    assert link is not None
    return Path(link)


def exact_numbers(page: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="exact-numbers">(.*?)</script>', page, re.DOTALL)
    numbers: dict[str, Any] = json.loads(found)
    return numbers


def test_a_page_says_what_it_shows_and_holds_the_exact_numbers(page: Path, report: DriftReport) -> None:
    text = " ".join(page.read_text().split())
    assert "<h1>flights: drift, 2013-03-01 00:00 to 2013-03-02 00:00 UTC</h1>" in text
    assert "against the training set of version 1.0.0" in text
    assert f'<a href="{html.escape(SOURCE)}">This report in Dagster</a>' in text
    assert "exact, of all 1,000 rows" in text
    assert "<b>a sample of 300 of 1,000 rows</b> (seed 0), beside 300 made-up rows" in text
    assert f"<td>delay</td><td>{report.features[0].psi:.3f}</td><td>{report.features[0].noise:.3f}</td>" in text
    assert exact_numbers(text) == {
        "model": "flights",
        "champion": "1.0.0",
        "since": "2013-03-01T00:00:00+00:00",
        "until": "2013-03-02T00:00:00+00:00",
        "sample": {"rows": 300, "of": 1000, "seed": 0, "reference_rows": 300},
        **report.metadata(),
    }


def test_evidently_draws_what_can_be_drawn(page: Path) -> None:
    text = page.read_text()
    drawn = set(re.findall(r'"column_name": "(\w+)"', text))
    # Nothing is left of two of the others without null and infinity, and no histogram holds the third.
    assert drawn == {"delay", "rain", "carrier", "score"}
    assert "no histogram holds them: broken, overflown, huge." in text
    (source,) = re.findall(r'<script src="(.*?)">', text)
    assert "window.drawDashboard=" in (page.parent / source).read_text()  # the program stands where the page seeks it
    assert len(text) < 1_000_000


def test_evidently_says_nothing_about_drift(page: Path) -> None:
    """Of a sample, and beside the exact numbers."""
    text = page.read_text()
    assert re.findall(r"(?i)is (?:not )?detected|not detected|data_drift", text) == []
    assert "The sample beside the training set" in text


def test_a_window_of_which_nothing_can_be_drawn_has_a_page_without_figures(
    champion: ModelVersion, report: DriftReport, tmp_path: Path
) -> None:
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(tmp_path / "log")
    spool.append([a_record(n, features={"delay": None, "overflown": float("inf")}, score=None) for n in range(5)])
    log.ship(spool)
    partly = replace(
        report,
        score=replace(
            report.score, verdict=Verdict.INCONCLUSIVE, reason="over its limit, but the window covers 18 of 24 hours"
        ),
    )
    link = publish_report(log, champion, partly, *DAY, rows=ROWS, files=LocalFiles(tmp_path / "reports"))
    assert link is not None
    text = Path(link).read_text()
    assert "There are no figures: no column can be drawn." in text
    assert "inconclusive: over its limit, but the window covers 18 of 24 hours." in text
    assert exact_numbers(text)["psi"] == report.metadata()["psi"]


def test_what_a_client_sent_is_shown_and_not_obeyed(page: Path) -> None:
    text = page.read_text()
    assert "<script>alert" not in text
    assert json.dumps(ATTACK).replace("<", r"\u003c") in text
    assert text.count("<body>") == text.count("</head>") == 1


def test_nobody_is_told_about_it(page: Path, connections: list[str]) -> None:
    assert connections == []
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_the_same_seed_draws_the_same_rows_whatever_their_order(log: PredictionLog, tmp_path: Path) -> None:
    spool, shuffled = Spool(tmp_path / "spool.sqlite"), PredictionLog(tmp_path / "log")
    for part in (slice(500, None), slice(0, 500)):
        spool.append(served()[part][::-1])
        shuffled.ship(spool)
    names = ("delay", "carrier", "broken")
    features = [Feature(name=name, kind="categorical" if name == "carrier" else "numeric") for name in names]
    one, same = (sample_served(its, "flights", features, *DAY, most=100, seed=3) for its in (log, shuffled))
    pd.testing.assert_frame_equal(one.rows, same.rows)
    assert one.served == same.served == 1000
    assert list(one.rows.columns) == [*names, "score"]
    other = sample_served(log, "flights", features, *DAY, most=100, seed=4)
    shared = len(set(one.rows["score"]) & set(other.rows["score"]))
    assert 2 <= shared <= 22  # of 100 drawn twice from 1,000, by chance: 10, give or take four times 3
    assert len(sample_served(log, "flights", features, *DAY, most=5000, seed=3).rows) == 1000


def test_each_row_is_as_likely_to_be_drawn(log: PredictionLog) -> None:
    drawn = pd.concat(
        [sample_served(log, "flights", (), *DAY, most=100, seed=seed).rows["score"] for seed in range(60)]
    )
    times = drawn.value_counts()
    assert len(times) > 990  # a row is left out of all with probability 0.9 ** 60: about 2 of 1,000
    assert times.max() < 20  # 6 on average


def test_made_up_rows_have_the_counts_of_the_baseline(log: PredictionLog) -> None:
    baseline = trained()
    features = [feature_of(name, its.bins) for name, its in baseline.features.items()]
    beside = sample_served(log, "flights", features, *DAY, most=ROWS, seed=0).rows
    rows = rows_like(baseline, beside, rows=2000, seed=0)
    for name, its in {**baseline.features, "score": baseline.score}.items():
        counted = its.bins.count(rows[name].tolist())
        assert np.abs(counted - its.counts / 2).max() <= 1, name  # 4,000 rows were trained on
    assert set(rows["rain"]) == {0.0, 1.0}  # the values that were served, and not the middles of their bins
    assert set(rows["carrier"]) == {"AA", "B6", "DL"}


def test_a_page_is_published_to_s3_as_what_a_browser_shows(
    log: PredictionLog, champion: ModelVersion, report: DriftReport, s3: str, s3_server: str
) -> None:
    files = open_files(f"s3://{s3}/models", "reports")
    links = [publish_report(log, champion, report, *DAY, rows=ROWS, files=files) for _ in range(2)]
    its = client(s3_server)
    kept = {entry["Key"]: entry["LastModified"] for entry in its.list_objects_v2(Bucket=s3)["Contents"]}
    pages = [key for key in kept if key.endswith(".html")]
    assert {f"{s3_server}/{s3}/{key}" for key in pages} == set(links)
    assert all(key.startswith("models/reports/flights/2013-03-01T00_2013-03-02T00-") for key in pages)
    (program,) = kept.keys() - set(pages)
    assert program.startswith("models/reports/evidently-")
    assert its.head_object(Bucket=s3, Key=program)["ContentType"] == "text/javascript"
    found = its.get_object(Bucket=s3, Key=pages[0])
    assert found["ContentType"] == "text/html"
    assert exact_numbers(found["Body"].read().decode())["psi"] == report.metadata()["psi"]


def test_no_rows_make_no_page(log: PredictionLog, champion: ModelVersion, report: DriftReport, tmp_path: Path) -> None:
    april = MARCH + timedelta(days=31)
    files = LocalFiles(tmp_path / "reports")
    made = publish_report(log, champion, report, april, april + timedelta(days=1), rows=ROWS, files=files)
    assert made is None
    assert not (tmp_path / "reports").exists()
