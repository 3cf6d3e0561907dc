"""One grey day is not read as drift: on the recorded flights, without a word in the policy."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from flights.trainer import SCHEMA, recorded_traffic, training_set
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import DriftPolicy, DriftReport, Verdict, drift, label_drift, make_baseline
from mlops_dagster.monitoring.baseline.over_time import blocks_of
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.entities.baseline import StoredBaseline
from mlops_dagster.statistics import INDEPENDENT, DesignEffect

MAY, JULY = datetime(2013, 5, 1, tzinfo=UTC), datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return training_set(MAY, JULY)


@pytest.fixture(scope="module")
def baselines(flights: pd.DataFrame) -> tuple[Baseline, Baseline]:
    """With the rows taken to be independent, and as a candidate has it."""
    labels, scores = list(flights["label"]), np.clip(flights["dep_delay"].to_numpy() / 100, 0, 1)
    plain = make_baseline(flights, SCHEMA, scores=scores, labels=labels)
    times = flights["event_time"]
    return plain, make_baseline(flights, SCHEMA, scores=scores, labels=labels, times=times, score_times=times)


def report(baseline: Baseline, rows: pd.DataFrame) -> DriftReport:
    counts = {name: histogram.bins.count(rows[name].tolist()) for name, histogram in baseline.features.items()}
    return drift(baseline, counts, DriftPolicy())


def days() -> list[pd.DataFrame]:
    return [recorded_traffic(MAY + number * DAY, MAY + (number + 1) * DAY) for number in range(61)]


def test_normal_days_start_nothing(baselines: tuple[Baseline, Baseline]) -> None:
    plain, estimated = baselines
    found = {name: [report(its, day).verdict for day in days()] for name, its in zip("pe", baselines, strict=True)}
    assert found["p"].count(Verdict.RETRAIN) == 61  # every single one of the days it was trained on
    assert found["e"].count(Verdict.RETRAIN) == 0
    labels = histogram_of(plain.label.bins, {"on_time": 400, "late": 500})  # as on June 13; 23 % are late in all
    assert label_drift(plain, labels, DriftPolicy(min_rows=1)).verdict is Verdict.RETRAIN
    assert label_drift(estimated, labels, DriftPolicy(min_rows=1)).verdict is Verdict.INCONCLUSIVE


def test_what_is_no_weather_is_still_found(baselines: tuple[Baseline, Baseline]) -> None:
    broken = days()[3].assign(distance=lambda rows: rows["distance"] * 1.609)  # kilometres
    assert report(baselines[1], broken).drifted == ("distance",)
    gone = days()[3].assign(origin=None)
    assert report(baselines[1], gone).drifted == ("origin",)
    week = recorded_traffic(MAY, MAY + 7 * DAY).assign(dep_delay=lambda rows: rows["dep_delay"] + 30)
    assert "dep_delay" in report(baselines[1], week).drifted


def test_the_estimates_are_those_found_by_hand(baselines: tuple[Baseline, Baseline]) -> None:
    """Of January and February somebody had estimated 7 for the delay, 290 and 235 for temperature and visibility."""
    effects = baselines[1].design_effects
    assert set(effects) == {*SCHEMA.names, "score", "label"}
    rows = {name: effect.rows for name, effect in effects.items()}
    assert 5 < rows["dep_delay"] < 15
    assert 100 < rows["temp"] < 400
    assert 100 < rows["visib"] < 400
    assert 30 < rows["label"] < 120
    assert max(rows["distance"], rows["carrier"], rows["hour"]) < 2
    assert effects["dep_delay"].freedom < 0.4  # a bad day delays all flights


def test_the_policy_has_the_last_word(baselines: tuple[Baseline, Baseline]) -> None:
    policy = DriftPolicy(rows_per_observation={"temp": 2})
    estimated = baselines[1].design_effects
    assert policy.design_effect("temp", estimated) == DesignEffect(2)
    assert policy.design_effect("visib", estimated) == estimated["visib"]
    assert policy.design_effect("temp", {}) == DesignEffect(2)
    assert policy.design_effect("visib", {}) == INDEPENDENT


def test_a_baseline_keeps_them_and_older_ones_have_none(baselines: tuple[Baseline, Baseline]) -> None:
    plain, estimated = baselines
    assert "design_effects" not in plain.to_json()
    for baseline in baselines:
        text = json.dumps(baseline.to_json())
        assert Baseline.from_json(json.loads(text)) == baseline == StoredBaseline(text, "flights 1.0.0")
        assert StoredBaseline(text, "flights 1.0.0").design_effects == baseline.design_effects
    assert StoredBaseline(json.dumps(estimated.to_json()), "flights 1.0.0") != plain
    lasting = replace(plain, design_effects={"wrong": DesignEffect(2.0, rows_per_day=100.0, lasting=0.5)})
    assert Baseline.from_json(json.loads(json.dumps(lasting.to_json()))) == lasting
    assert Baseline.from_json({**plain.to_json(), "design_effects": {"temp": [2, 0.5]}}).design_effects == {
        "temp": DesignEffect(2.0, 0.5)  # as it was written before its fields had names
    }
    for wrong in ([0.5, 1], [2, 0], {"row": 2}, {"rows": "many"}, {"rows": 2, "lasting": 1.0}, {"lasting": -0.1}, "2"):
        with pytest.raises(InvalidInputError, match="design effect"):
            Baseline.from_json({**plain.to_json(), "design_effects": {"temp": wrong}})
    with pytest.raises(InvalidInputError, match="design effects"):
        Baseline.from_json({**plain.to_json(), "design_effects": [1, 2]})
    assert isinstance(estimated.design_effects["temp"], DesignEffect)


def test_blocks_are_days_or_less() -> None:
    hours = pd.Series(pd.date_range("2013-03-01", periods=40, freq="h"))
    assert len(set(blocks_of(hours))) == 20
    assert len(set(blocks_of(pd.Series(pd.date_range("2013-03-01", periods=24 * 60, freq="h"))))) == 60
    assert blocks_of(hours[:1]).tolist() == [0]
