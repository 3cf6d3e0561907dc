"""A champion that loses a fifth of its accuracy: the daily report, its alert and the retraining, in runs of Dagster."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import PerformancePolicy
from mlops_dagster.registry import Stage
from mlops_dagster.retraining.policy import RetrainingPolicy
from tests.support.components.at_a_time import DagsterAt
from tests.support.two_versions import MODEL, days, estimator, house_at, register, serve

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up", window_days=4, evaluation_days=1),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    performance=PerformancePolicy(floor=0.1, alert=0.2),
    retraining=RetrainingPolicy(cadence=None, cooldown_days=0),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """1.0.0 is champion since 3 March. Its card says: 100 of 1,000 wrong, and nobody knows on which days."""
    version = register(tmp_path, "1.0.0", estimator(0), trained_until=days(0.5), at=days(2))
    assert version.card is not None
    parts = tuple(part.model_copy(update={"rows": 1000}) for part in version.card.evaluation)
    registry = house_at(tmp_path, days(2)).registry
    version = registry.attach_card(version, version.card.model_copy(update={"evaluation": parts}))
    registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    return tmp_path


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def reported(home: Path, instance: dg.DagsterInstance, first: int, last: int) -> dg.AssetCheckEvaluation:
    """The reports of these days of March, made at noon after the last of them."""
    tags = {
        "dagster/asset_partition_range_start": f"2013-03-{first:02}",
        "dagster/asset_partition_range_end": f"2013-03-{last:02}",
    }
    run = DagsterAt(home, instance, days(last + 0.5), SPEC).run("daily_performance", tags=tags)
    return next(each for each in run.get_asset_check_evaluations() if each.check_name == "concept_drift")


def test_it_is_told_after_the_second_day_and_retrained(home: Path, instance: dg.DagsterInstance) -> None:
    for day in (2, 3):
        serve(home, days(day), 300)
    for day in (4, 5):
        serve(home, days(day), 300, truth=1.5)  # three in eight are wrong, at all hours
    first = reported(home, instance, 3, 5)
    assert first.passed, "one bad day is none"
    assert house_at(home, days(5.5)).alerts.list(MODEL) == []

    second = reported(home, instance, 6, 6)
    assert (second.passed, second.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert second.metadata["concept"].value == "collapsed"
    (alert,) = house_at(home, days(6.5)).alerts.list(MODEL)
    assert (alert.rule, alert.severity.value, alert.done) == (
        "accuracy_collapse",
        "critical",
        "a retraining was asked for",
    )
    assert "of 600 on 2013-03-05 and 2013-03-06, 0.900 when evaluated: a fifth is lost" in alert.summary
    assert (alert.version, alert.since, alert.evidence["since"]) == ("1.0.0", days(4), "2013-03-05")
    assert (alert.reading.unit, alert.reading.counted, alert.reading.window) == ("%", "labels", timedelta(days=2))
    assert alert.reading.value == pytest.approx(100 * alert.evidence["accuracy"])

    request = DagsterAt(home, instance, days(6.5), SPEC).tick("retraining")
    assert isinstance(request, dg.RunRequest)
    assert (request.tags["mlops/trigger"], request.tags["mlops/evaluated_accuracy"]) == ("concept_drift", "0.9")


@pytest.mark.parametrize("newcomer", [False, True])
def test_it_is_over_when_the_days_are_good_or_another_serves(
    home: Path, instance: dg.DagsterInstance, newcomer: bool
) -> None:
    for day in (2, 3):
        serve(home, days(day), 300, truth=1.5)
    reported(home, instance, 3, 4)
    assert [alert.open for alert in house_at(home, days(4.5)).alerts.list(MODEL)] == [True]
    if newcomer:
        register(home, "2.0.0", estimator(0), trained_until=days(0.5), at=days(4), champion=True)
    else:
        serve(home, days(4), 300)
    reported(home, instance, 5, 5)
    (alert,) = house_at(home, days(5.5) + timedelta(hours=1)).alerts.list(MODEL, resolved=True)
    assert not alert.open
    assert alert.resolution.startswith("2.0.0 serves now" if newcomer else "1.0.0: accuracy")


def test_a_loss_that_is_not_proven_is_a_warning_until_it_is(home: Path, instance: dg.DagsterInstance) -> None:
    for day in (2, 3):
        serve(home, days(day), 300, truth=1.0)  # a quarter is wrong, which of 300 a day is no proof
    check = reported(home, instance, 3, 4)
    assert check.passed
    (alert,) = house_at(home, days(4.5)).alerts.list(MODEL)
    assert (alert.rule, alert.severity.value, alert.done) == (
        "accuracy_collapse",
        "warning",
        "nothing: it may be these days alone",
    )
    assert alert.summary.startswith("1.0.0 may have lost a fifth of its accuracy: accuracy 0.7")

    for day in (4, 5):
        serve(home, days(day), 300, truth=1.5)
    reported(home, instance, 5, 6)
    (alert,) = house_at(home, days(6.5)).alerts.list(MODEL)
    assert (alert.severity.value, alert.evidence["since"]) == ("critical", "2013-03-04")
