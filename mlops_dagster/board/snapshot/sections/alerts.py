"""The open alerts, the silences, and the messages that are not delivered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mlops_dagster.alerting import FLEET, Alert, AlertPolicy, Rule, Silence
from mlops_dagster.alerting.channels.commands import command_of
from mlops_dagster.alerting.channels.message import asset_of
from mlops_dagster.alerting.criteria import criteria
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.alerting.judging import Proof
from mlops_dagster.board.snapshot.entities import AlertRow, Alerts, Hint, Letters, SilenceRow
from mlops_dagster.board.snapshot.links import asset, runbook
from mlops_dagster.board.snapshot.links import run as run_page
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import MlopsError

MOST: Final = 50


def alerts(view: View) -> Alerts:
    """Return the open alerts, the gravest first and muted ones last."""
    found = [alert for alert in view.alerts if view.only is None or alert.model in (view.only, FLEET)]
    silences = view.stores.alerts.silences(view.at)
    ends = {each.name: each.ended_at or each.ends_at for each in silences}
    ordered = sorted(found, key=lambda each: (each.muted_by is not None, -each.severity.rank, -each.id))
    muted = [each.muted_by for each in found if each.muted_by is not None]
    silenced = sum(name in ends for name in muted)
    return Alerts(
        rows=tuple(_row(view, alert, ends) for alert in ordered[:MOST]),
        open=len(found) - len(muted),
        muted=len(muted) - silenced,
        silenced=silenced,
        silences=tuple(map(_silence, silences)),
        rules=None if view.past else view.stores.watches.count(),
        told_nobody=not view.past and view.stores.settings.channels is None,
        letters=None if view.past or view.stores.settings.channels is None else _letters(view),
    )


def nothing_fires(its: Alerts) -> Hint | None:
    """Tell that nothing fires, and of how many rules."""
    if its.rows:
        return None
    if its.rules is None:
        return Hint("nothing fired")
    if not its.rules:
        return Hint(
            "no rule is judged yet; the sensor `alerts` in Dagster judges the rules of every champion", "mlops dev"
        )
    return Hint(f"nothing of {counted(its.rules, 'rules')} fires")


def _row(view: View, alert: Alert, ends: Mapping[str, datetime]) -> AlertRow:
    acknowledged = alert.acknowledged
    return AlertRow(
        id=alert.id,
        model=alert.model,
        rule=alert.rule,
        subject=alert.subject,
        version=alert.version,
        severity=alert.severity,
        summary=alert.summary,
        reading=alert.reading,
        since=alert.since or alert.opened_at,
        opened_at=alert.opened_at,
        last_seen_at=alert.last_seen_at,
        times=alert.times,
        flaps=alert.flaps,
        done=alert.done,
        acknowledged_by=None if acknowledged is None else acknowledged.by,
        acknowledged_at=None if acknowledged is None else acknowledged.at,
        acknowledged_reason="" if acknowledged is None else acknowledged.reason,
        muted_by=alert.muted_by,
        muted_until=None if alert.muted_by is None else ends.get(alert.muted_by),
        false_alarms_a_year=_promise(view, alert),
        commands=_commands(alert),
        runbook=runbook(view, alert.rule),
        dagster=asset(view, alert.model, asset_of(alert.rule)),
        retraining=run_page(view, alert.retraining),
    )


def _commands(alert: Alert) -> tuple[str, ...]:
    """Return the commands about an alert, the next step first."""
    acknowledge = [] if alert.acknowledged else [f"mlops alerts ack {alert.id} --reason '...'"]
    return tuple(dict.fromkeys((command_of(alert), *acknowledge, f"mlops alerts show {alert.id}")))


def _promise(view: View, alert: Alert) -> float | None:
    """Return the false alarms a year that the policy allows the rule at most; None unless the rule is by proof."""
    try:
        policy = AlertPolicy() if alert.model == FLEET else view.alert_policy(alert.model)
    except MlopsError:  # the policies cannot be read, which their own section says
        return None
    criterion = criteria(policy).get(Rule(alert.rule)) if alert.rule in set(Rule) else None
    way = None if criterion is None else criterion.way
    return way.false_alarms_a_year if isinstance(way, Proof) else None


def _silence(silence: Silence) -> SilenceRow:
    globs = {name: getattr(silence, name) for name in ("model", "rule", "severity", "version")}
    covers = ", ".join(f"{name} {glob}" for name, glob in globs.items() if glob != "*")
    return SilenceRow(
        id=silence.id,
        covers=covers or "every alert",
        starts_at=silence.starts_at,
        ends_at=silence.ended_at or silence.ends_at,
        actor=silence.actor,
        reason=silence.reason,
        command=f"mlops alerts unsilence {silence.id} --reason '...'",
    )


def _letters(view: View) -> Letters:
    found = view.stores.letters.list()
    dead = [each for each in found if each.state is State.DEAD]
    error = next((each.error for each in reversed(found) if each.error), "")
    return Letters(len(found) - len(dead), len(dead), error, "mlops alerts outbox")
