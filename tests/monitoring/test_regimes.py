"""A training set across a change: its baseline says so, and drift is still judged."""

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import DriftPolicy, Verdict, drift, label_drift, make_baseline, regime_lines
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.cards.html import to_html
from mlops_dagster.registry.entities.baseline import Baseline, StoredBaseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import INDEPENDENT
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(Feature(name="x", kind="numeric"), Feature(name="y", kind="numeric")),
    task=Classification(classes=("a", "b")),
)
DAYS, ROWS, CHANGED = 40, 50, 24
START = pd.Timestamp("2013-03-01", tz="UTC")


@pytest.fixture(scope="module")
def mixed() -> Baseline:
    """Of `x` and the labels, not of `y`; of the scores, whose days are the last ones, too."""
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(DAYS), ROWS)
    times = pd.Series(START + pd.to_timedelta(day, unit="D") + pd.to_timedelta(rng.random(len(day)), unit="D"))
    frame = pd.DataFrame({"x": rng.normal(2.0 * (day >= CHANGED)), "y": rng.normal(size=len(day))})
    labels = np.where(rng.random(len(day)) < np.where(day >= CHANGED, 0.7, 0.3), "b", "a")
    scores = rng.beta(2, 4, size=len(day)) + 0.3 * (day >= CHANGED)
    return make_baseline(
        frame, SCHEMA, scores=np.clip(scores, 0, 1), labels=labels.tolist(), times=times, score_times=times
    )


def judged(baseline: Baseline, x: npt.NDArray[np.float64], policy: DriftPolicy | None = None) -> tuple[Verdict, str]:
    report = drift(baseline, {"x": baseline.features["x"].bins.count(x)}, policy or DriftPolicy(), hours=168)
    found = next(each for each in report.features if each.name == "x")
    return found.verdict, found.reason


def test_what_changed_is_known_with_its_day(mixed: Baseline) -> None:
    assert mixed.regimes.keys() == {"x", "label", "score"}
    found = mixed.regimes["x"]
    assert abs((found.since - START.to_pydatetime()).days - CHANGED) <= 1
    assert found.newer.total == pytest.approx((DAYS - CHANGED) * ROWS, abs=ROWS)
    assert found.effect.rows < 2 < mixed.design_effects["x"].rows  # the change itself is no shared cause


def test_drift_is_from_the_newer_regime(mixed: Baseline) -> None:
    rng = np.random.default_rng(2)
    assert judged(mixed, rng.normal(2.0, size=2000))[0] is Verdict.STABLE
    verdict, reason = judged(mixed, rng.normal(0.0, size=2000))  # back to what the older half was
    assert verdict is Verdict.RETRAIN
    assert "two regimes, split at 2013-03-2" in reason
    assert reason.endswith("rows since, which are the reference")
    of_one = replace(mixed, regimes={})
    assert judged(of_one, rng.normal(2.0, size=2000))[0] is not Verdict.STABLE


def test_a_newer_regime_of_few_rows_cannot_tell_and_says_what_to_do(mixed: Baseline) -> None:
    few = DriftPolicy(min_rows=2000)
    rng = np.random.default_rng(3)
    verdict, reason = judged(mixed, rng.normal(2.0, size=6000), few)
    assert (verdict, "train on a window that begins 2013-03-2" in reason) == (Verdict.INCONCLUSIVE, True)
    lines = regime_lines(mixed, few)
    assert [line.split(":")[0] for line in lines] == ["x", "label", "score"]
    card = ModelCard(regimes=lines)
    for page in (card.to_markdown(), to_html(card)):
        assert "x: its baseline is of two regimes" in page
        assert "train on a window that begins" in page


def test_labels_are_held_against_the_newer_regime(mixed: Baseline) -> None:
    now = histogram_of(mixed.label.bins, {"a": 300, "b": 700})
    assert label_drift(mixed, now, DriftPolicy(), hours=168).verdict is Verdict.STABLE
    then = histogram_of(mixed.label.bins, {"a": 700, "b": 300})
    assert label_drift(mixed, then, DriftPolicy(), hours=168).verdict is Verdict.RETRAIN


def test_they_survive_json(mixed: Baseline) -> None:
    text = json.dumps(mixed.to_json())
    assert Baseline.from_json(json.loads(text)) == mixed == StoredBaseline(text, "flights 1.0.0")
    assert StoredBaseline(text, "flights 1.0.0").regimes == mixed.regimes
    good = mixed.regimes["x"].to_json()
    for wrong in (
        {},
        {**good, "since": "2013-03-01"},
        {**good, "psi": "1"},
        {**good, "newer": [1]},
        {**good, "effect": 1},
    ):
        with pytest.raises(InvalidInputError):
            Baseline.from_json({**mixed.to_json(), "regimes": {"x": wrong}})
    with pytest.raises(InvalidInputError, match="regimes"):
        Baseline.from_json({**mixed.to_json(), "regimes": {"z": good}})


def test_under_min_rows_nothing_is_said_of_window_baseline_or_scores(mixed: Baseline) -> None:
    plain = replace(mixed, regimes={}, design_effects={"x": INDEPENDENT})
    policy = DriftPolicy(min_rows=100)
    assert judged(plain, np.full(99, 9.0), policy) == (Verdict.INCONCLUSIVE, "99 independent rows, 100 are needed")
    assert judged(plain, np.full(101, 9.0), policy)[0] is Verdict.RETRAIN
    many = DriftPolicy(min_rows=100, rows_per_observation={"x": 25.0})  # of the baseline's 2000 rows
    assert judged(plain, np.full(9999, 9.0), many) == (Verdict.INCONCLUSIVE, "80 independent rows, 100 are needed")
    scores = {"score": plain.score.bins.count(np.full(99, 0.99))}
    report = drift(plain, scores, policy)
    assert (report.score.verdict, report.score.reason) == (Verdict.INCONCLUSIVE, "99 independent rows, 100 are needed")


def test_a_noise_that_no_change_could_be_over_cannot_tell(mixed: Baseline) -> None:
    plain = replace(mixed, regimes={}, design_effects={})
    quiet = np.random.default_rng(5).permutation(np.linspace(-2, 4, 12))
    verdict, reason = judged(plain, quiet, DriftPolicy(min_rows=10))
    assert verdict is Verdict.INCONCLUSIVE
    assert "the largest PSI that so many rows could have" in reason
