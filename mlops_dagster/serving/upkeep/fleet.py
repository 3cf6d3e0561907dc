"""The numbers of all models that the housekeeper reads from the stores for `/metrics`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from mlops_dagster.alerting import Alert
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.registry import Stage
from mlops_dagster.serving.telemetry.fleet import FleetGauges
from mlops_dagster.serving.upkeep.isolation import for_each
from mlops_dagster.statistics import wilson_interval
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Sums

QUALITY: Final = timedelta(days=1)
"""The window of accuracy and headline measure."""

DRIFT_REPORT: Final = "drift"
FORGOTTEN_AFTER: Final = timedelta(days=3)
"""An older drift report says nothing of the present."""


def fleet_text(stores: Stores, now: datetime) -> tuple[bytes, list[Exception]]:
    """Return the gauges of all models as text for Prometheus, and the errors of the models that could not be read.

    Raises StorageError.
    """
    gauges = FleetGauges()
    failures = for_each(stores.registry.models(), partial(_add_model, stores, gauges, now))
    open_alerts = Counter(
        (alert.model, alert.rule, alert.severity.value, _state(alert)) for alert in stores.alerts.list()
    )
    for labels, number in open_alerts.items():
        gauges.add("alert", number, *labels)
    _add_outbox(stores, gauges, now)
    for beat in stores.beats.list():
        if beat.is_forgotten(now):
            continue
        gauges.add("beat_time_seconds", beat.at.timestamp(), beat.name, beat.model)
        gauges.add("beat_every_seconds", beat.every.total_seconds(), beat.name, beat.model)
    return gauges.text(), failures


def _add_outbox(stores: Stores, gauges: FleetGauges, now: datetime) -> None:
    channels: Sequence[str] = ()
    with suppress(InvalidPolicyError):  # told by the duty that delivers
        channels = () if stores.delivery is None else stores.delivery.channels
    waiting: dict[str, list[datetime]] = {channel: [] for channel in channels}
    for entry in stores.letters.list([State.WAITING]):
        waiting.setdefault(entry.channel, []).append(entry.enqueued_at)
    for channel, since in waiting.items():
        gauges.add("outbox_waiting", len(since), channel)
        gauges.add("outbox_oldest_seconds", (now - min(since)).total_seconds() if since else 0, channel)


def _state(alert: Alert) -> str:
    if alert.muted_by is not None:
        return "muted"
    return "firing" if alert.acknowledged is None else "acknowledged"


def _add_model(stores: Stores, gauges: FleetGauges, now: datetime, model: str) -> None:
    for version in stores.registry.list(model):
        if version.stage is not Stage.DEPRECATED:
            gauges.add("version_info", 1, model, version.version, version.stage.value)
    gauges.add("canary_weight", stores.registry.deployment(model).canary_weight, model)
    _add_evidence(stores, gauges, model)
    _add_drift(stores, gauges, now, model)
    _add_quality(stores, gauges, now, model)


def _add_evidence(stores: Stores, gauges: FleetGauges, model: str) -> None:
    rollout = stores.rollouts.active(model)
    decision = None if rollout is None else stores.rollouts.last_decision(rollout.id)
    if rollout is None or decision is None:
        return
    for test in decision.tests:
        gauges.add("rollout_e_value", test.e_value, model, rollout.challenger, test.name)
        gauges.add("rollout_limit", test.limit, model, rollout.challenger, test.name)


def _add_drift(stores: Stores, gauges: FleetGauges, now: datetime, model: str) -> None:
    """Add the numbers of the last drift report, read as JSON: the data plane imports nothing of monitoring."""
    report = stores.reports.get(model, DRIFT_REPORT)
    if report is None or now - report.start > FORGOTTEN_AFTER or not report.content["drift"]:
        return
    drift: Mapping[str, Any] = report.content["drift"]  # type: ignore[assignment]  # the JSON of an HourOfDrift
    for feature in drift["features"]:
        for gauge in ("psi", "noise"):
            if feature[gauge] is not None:
                gauges.add(f"drift_{gauge}", float(feature[gauge]), model, feature["name"])
    if drift["score"]["ks"] is not None:
        statistic, _pvalue = drift["score"]["ks"]
        gauges.add("drift_ks", float(statistic), model)


def _add_quality(stores: Stores, gauges: FleetGauges, now: datetime, model: str) -> None:
    since = now - QUALITY
    labelled: dict[str, tuple[int, int]] = {}
    for arm in stores.rollups.events(model, since, now):
        if arm.role in ("champion", "canary") and arm.counts.labelled:
            known, wrong = labelled.get(arm.version, (0, 0))
            labelled[arm.version] = (known + arm.counts.labelled, wrong + arm.counts.wrong)
    for version, (known, wrong) in labelled.items():
        low, high = wilson_interval(known - wrong, known)
        for bound, value in (("value", 1 - wrong / known), ("low", low), ("high", high)):
            gauges.add("accuracy", value, model, version, bound)
        task = stores.registry.get(model, version).task
        name, counted = task.headline, stores.rollups.confusion(model, version, since, now) if task.truths else {}
        if counted:
            value = task.measures(cast("Sums", counted), intervals=False)[name].value
            gauges.add("headline", value, model, version, name)
