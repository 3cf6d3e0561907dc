"""One look at all models: each rule that is due is observed, judged and told."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from mlops_dagster.alerting import OF_QUALITY, AlertPolicy, Rule
from mlops_dagster.alerting.criteria import criteria
from mlops_dagster.alerting.judging import Criterion, Observation, Transition, Watch, judge
from mlops_dagster.alerting.watches import WatchKey
from mlops_dagster.errors import MlopsError
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.loop.registry_events.settle import settle_registry_alerts
from mlops_dagster.loop.retraining.consider import action_on_findings
from mlops_dagster.loop.watching.due import is_due
from mlops_dagster.loop.watching.finding import finding, resolution
from mlops_dagster.loop.watching.fleet import fleet_at
from mlops_dagster.loop.watching.observing import labels, nulls, reports, requests
from mlops_dagster.loop.watching.observing.lack import lacking
from mlops_dagster.loop.watching.subject import VALID, Subject
from mlops_dagster.loop.watching.unserved import end_unserved
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

Observe: TypeAlias = Callable[[Subject, Watch], Observation | None]
"""Returns the numbers of a rule; None if there is nothing to judge now, so that its watch stays as it is."""

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)

_TOLD_AGAIN: Final = timedelta(hours=1)
"""The time after which an open alert gets its present numbers."""


class _Rule(NamedTuple):
    observe: Observe
    every: timedelta
    """The rule is judged so often."""


_RULES: Final[Mapping[Rule, _Rule]] = {
    Rule.ERROR_RATE: _Rule(requests.failed_requests, _MINUTE),
    Rule.P99_MS: _Rule(requests.slow_answers, _MINUTE),
    Rule.NO_TRAFFIC: _Rule(requests.silence, _MINUTE),
    Rule.ACCURACY: _Rule(labels.wrong_labels, 5 * _MINUTE),
    Rule.PSI: _Rule(reports.drifted_features, 5 * _MINUTE),
    Rule.KS: _Rule(reports.moved_scores, 5 * _MINUTE),
    Rule.REPORT_LATE: _Rule(reports.lateness, 5 * _MINUTE),
    Rule.NULL_RATE: _Rule(nulls.missing_values, _HOUR),
    Rule.LABEL_DEBT: _Rule(labels.debt, _HOUR),
}


_OF_REPORTS: Final = (Rule.PSI, Rule.KS, Rule.REPORT_LATE)
"""The rules about reports, which are not missed when no more can be made."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The result of one look."""

    models: int
    """The models that have a champion."""
    rules: int
    """The rules that were judged, of all models."""
    opened: int
    resolved: int
    failed: Sequence[str]
    """The models that could not be looked at; the log says why."""


def look(stores: Stores, now: datetime, *, reports_within: timedelta = VALID) -> Looked:
    """Judge the rules of every model that are due, tell their alerts, and keep the watches.

    Hourly reports that are older than `reports_within` are no numbers of `now`. A look that is repeated after a crash
    changes nothing: an alert is written before its watch, and one that is open already is not opened again. An error of
    one model does not stop the others. Raises StorageError.
    """
    follow_registry(stores)  # the data plane does so too, where it runs
    settle_registry_alerts(stores)
    stores.alerts.update_mutes()
    watches = stores.watches.all()
    fleet = fleet_at(stores.rollups, now)
    changed: list[Watch] = []
    removed: list[WatchKey] = []
    failed: list[str] = []
    transitions: list[Transition] = []
    unserved = {model for model, _ in watches}
    models = 0
    for model in stores.registry.models():
        try:
            champion = stores.registry.deployment(model).champion
            if champion is None:
                unserved.add(model)
                continue
            unserved.discard(model)
            models += 1
            policies = stores.registry.policies(model)
            policy = policies.section("alerts", AlertPolicy)
            subject = Subject(stores, fleet, model, champion, policies, policy, now, reports_within)
            judged = list(_judged(subject, watches))
            changed += [each.watch for each in judged]
            transitions += [each.transition for each in judged if each.transition is not None]
            removed += _turned_off(subject, watches)
        except MlopsError as error:
            logger.error("the rules of %s cannot be judged: %s", model, error)
            unserved.discard(model)
            failed.append(model)
    end_unserved(stores, unserved)
    removed += [key for key in watches if key[0] in unserved]
    stores.watches.save(changed, removed)
    opened = sum(each.before is None for each in transitions)
    return Looked(models, len(changed), opened, sum(each.after is None for each in transitions), failed)


class _Judged(NamedTuple):
    watch: Watch
    transition: Transition | None


def _judged(subject: Subject, watches: Mapping[WatchKey, Watch]) -> Iterator[_Judged]:
    """Judge the rules of one model that are due, and tell their alerts.

    At the first look at a model only its rules of the minute are: the others of a new fleet come in turn.
    """
    on, now = criteria(subject.alerts), subject.now
    known = {rule: watches[subject.model, rule] for rule in on if (subject.model, rule) in watches}
    last = max((each.through for each in known.values() if each.through is not None), default=None)
    after: dict[Rule, Watch] = {}
    for rule, (observe, every) in _RULES.items():
        if rule in _OF_REPORTS and subject.reports_ended:
            continue
        if rule not in on or (last is None and every > _MINUTE):
            continue
        watch = after[rule] = known.get(rule, Watch(subject.model, rule))
        if not is_due(subject.model, watch.through or last, now, every):
            continue
        observation = observe(subject, watch)
        if observation is not None:
            judged = _told(subject, on[rule], watch, observation)
            after[rule] = judged.watch
            yield judged
    watch = known.get(Rule.NO_DATA, Watch(subject.model, Rule.NO_DATA))
    if is_due(subject.model, watch.through, now, 5 * _MINUTE):
        lack = lacking(after.values(), timedelta(hours=subject.alerts.stale_hours), now)
        yield _told(subject, on[Rule.NO_DATA], watch, lack)


def _told(subject: Subject, criterion: Criterion, before: Watch, observation: Observation) -> _Judged:
    """Judge one observation, and write the alert if it changes, or if its numbers are an hour old."""
    watch, transition = judge(criterion, before, observation, subject.now)
    alerts = subject.stores.alerts
    if watch.severity is not None:
        if transition is not None or watch.told_at is None or subject.now - watch.told_at >= _TOLD_AGAIN:
            found = finding(criterion, watch)
            alerts.report(
                subject.model,
                watch.rule,
                watch.severity,
                found.summary,
                version=watch.version,
                reading=found.reading,
                since=found.since,
                done=_action(subject) if watch.rule in OF_QUALITY else "",
                evidence=found.evidence,
            )
            watch = replace(watch, told_at=subject.now)
    elif transition is not None:
        alerts.resolve(subject.model, watch.rule, resolution(watch, before, replaced=transition.replaced))
        watch = replace(watch, told_at=None)
    return _Judged(watch, transition)


def _action(subject: Subject) -> str:
    """Return what the latest reports on the champion lead to."""
    champion = subject.stores.registry.get(subject.model, subject.champion)
    return action_on_findings(subject.stores, champion, subject.policies, subject.now)


def _turned_off(subject: Subject, watches: Mapping[WatchKey, Watch]) -> list[WatchKey]:
    """Return the watches of rules that the policy has turned off; their alerts are resolved."""
    on = criteria(subject.alerts)
    off = [rule for rule in _RULES if rule not in on and (subject.model, rule) in watches]
    for rule in off:
        subject.stores.alerts.resolve(subject.model, rule, "the rule is turned off")
    return [(subject.model, rule) for rule in off]
