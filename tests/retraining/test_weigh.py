"""Drift that moves scores or answers weighs more than drift that does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.monitoring import DriftPolicy, DriftReport, FeatureDrift, Verdict
from mlops_dagster.monitoring.drift.report import ScoreDrift
from mlops_dagster.retraining.signals import DriftSignal
from mlops_dagster.retraining.weigh import weigh
from mlops_dagster.statistics import KsResult

SCORES = ("stable", "inconclusive", "monitor", "retrain")
"""By how much they ask for."""
HARMS = ("no_loss", "inconclusive", "came_with_loss")
NAMES = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
SIGNALS = st.builds(
    DriftSignal, verdict=st.sampled_from(SCORES), features=NAMES.map(tuple), score=st.sampled_from(SCORES)
)
HARM = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(HARMS))


@pytest.mark.parametrize(
    ("score", "harm", "asks", "reason"),
    [
        ("stable", {}, False, "moves neither the scores nor, as far as labels say, the answers"),
        ("stable", {"a": "inconclusive", "b": "no_loss"}, False, "moves neither"),
        ("stable", {"a": "came_with_loss", "b": "no_loss"}, True, "of which a came with wrong answers"),
        ("monitor", {}, True, "which moves the scores (KS D 0.170)"),
        ("monitor", {"a": "no_loss", "b": "no_loss"}, False, "labels show no loss"),
        ("monitor", {"a": "no_loss", "c": "no_loss"}, True, "moves the scores"),
        ("inconclusive", {}, True, "whether it moves the scores cannot be told"),
        ("inconclusive", {"a": "no_loss", "b": "no_loss"}, False, "labels show no loss"),
        ("retrain", {"a": "no_loss", "b": "no_loss"}, True, "drift of the scores (KS D 0.170) and of a, b"),
        ("stable", None, False, "which does not move the scores; no daily report of this champion was known"),
        ("monitor", None, True, "moves the scores (KS D 0.170); no daily report of this champion was known"),
    ],
)
def test_the_rule(score: str, harm: dict[str, str] | None, asks: bool, reason: str) -> None:
    found = weigh(DriftSignal("retrain", ("a", "b"), score=score, ks=0.17), harm)
    assert found.asks is asks
    assert reason in found.reason


@given(SIGNALS, HARM)
def test_only_a_report_that_says_retrain_asks_and_every_answer_has_a_reason(
    drift: DriftSignal, harm: dict[str, str]
) -> None:
    found = weigh(drift, harm)
    assert found.reason
    assert not found.asks or drift.verdict == "retrain"


@given(SIGNALS, HARM, st.sampled_from(SCORES), st.sampled_from("abcd"))
def test_worse_evidence_never_asks_for_less(drift: DriftSignal, harm: dict[str, str], score: str, name: str) -> None:
    if not weigh(drift, harm).asks:
        return
    if SCORES.index(score) >= SCORES.index(drift.score):
        assert weigh(replace(drift, score=score), harm).asks
    assert weigh(drift, {**harm, name: "came_with_loss"}).asks


@given(SIGNALS, HARM)
def test_evidence_that_is_missing_lets_drift_ask(drift: DriftSignal, harm: dict[str, str]) -> None:
    drift = replace(drift, verdict="retrain")
    unknown = replace(drift, score="inconclusive")
    assert weigh(unknown, {}).asks
    if drift.score != "stable" and weigh(drift, harm).asks:
        assert weigh(drift, {}).asks
    assert weigh(drift, None).asks is weigh(drift, {}).asks


def test_it_reads_the_reports() -> None:
    score = ScoreDrift(KsResult(0.2, 0.001), 0.05, 0.12, Verdict.MONITOR)
    feature = FeatureDrift("a", 0.4, 0.1, Verdict.RETRAIN, report_only=False, independent_rows=50)
    report = DriftReport(Verdict.RETRAIN, 100, (feature,), score, DriftPolicy())
    drift = DriftSignal.of(report)
    assert (drift.score, drift.numbers["ks score"], drift.psi) == ("monitor", "0.2", {"a": 0.4})
    assert not weigh(drift, {"a": "no_loss"}).asks
    assert weigh(DriftSignal.of(report.withheld("2 hours failed")), {}).reason == "drift cannot be told: 2 hours failed"
