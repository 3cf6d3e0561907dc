"""Alerts on a champion that answers worse, and on labels that do not come."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from mlops_dagster.alerting import Reading, Rule, Severity
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import CollapseVerdict, ConceptReport, ConceptVerdict
from mlops_dagster.monitoring.baseline.card_accuracy import LEFT
from mlops_dagster.monitoring.concept.collapse import Collapse
from mlops_dagster.monitoring.concept.report import SliceTest
from mlops_dagster.predictions import Cohort
from mlops_dagster.reports import DAY
from mlops_dagster.rollout.floor.matured import day_begins, too_few_labels
from mlops_dagster.statistics import wilson_interval
from mlops_dagster.stores import Stores


def tell_of_collapse(
    stores: Stores, spec: ModelSpec, champion: str, report: ConceptReport | None, *, then: str
) -> None:
    """Open or resolve the alert `accuracy_collapse`; if the latest days are inconclusive, it stays unchanged.

    `then` states the action taken on a proven collapse. A suspected collapse is a warning without an action; there is
    no warning where concept drift is proven, because that alert says more.
    """
    verdict = None if report is None else report.collapse.verdict
    proven = verdict is CollapseVerdict.COLLAPSED
    suspected = verdict is CollapseVerdict.SUSPECTED
    if report is not None and (proven or (suspected and report.verdict is not ConceptVerdict.DRIFTED)):
        stores.alerts.report(
            spec.model,
            Rule.ACCURACY_COLLAPSE,
            Severity.CRITICAL if proven else Severity.WARNING,
            f"{champion}{'' if proven else ' may have lost a fifth of its accuracy'}: {report.collapse.reason}",
            version=champion,
            reading=_of_collapse(report.collapse),
            since=None if report.collapse.since is None else day_begins(report.collapse.since),
            done=then if proven else "nothing: it may be these days alone",
            evidence=report.collapse.numbers(),
        )
    elif report is not None and verdict is CollapseVerdict.HOLDS:
        stores.alerts.resolve(spec.model, Rule.ACCURACY_COLLAPSE, f"{champion}: {report.collapse.reason}")
    else:
        _resolve_of_another(stores, spec.model, Rule.ACCURACY_COLLAPSE, champion)


def tell_of_concept(
    stores: Stores, spec: ModelSpec, champion: str, report: ConceptReport | None, *, under_floor: bool, then: str
) -> None:
    """Open the alert `concept_drift` while the champion is proven worse; resolve it if not, or if another serves."""
    if report is not None and report.drifted:
        stores.alerts.report(
            spec.model,
            Rule.CONCEPT_DRIFT,
            Severity.CRITICAL if under_floor else Severity.WARNING,
            f"{champion}: {report.drift_reason}",
            version=champion,
            reading=_of_slice(report.drifted[0]),
            since=None if report.drifted[0].since is None else day_begins(report.drifted[0].since),
            done=then,
            evidence={"slices": report.metadata()["concept_slices"]},
        )
    elif report is not None and report.verdict is ConceptVerdict.NOT_PROVEN:
        stores.alerts.resolve(spec.model, Rule.CONCEPT_DRIFT, f"{champion}: {report.reason}")
    else:
        _resolve_of_another(stores, spec.model, Rule.CONCEPT_DRIFT, champion)


def tell_of_labels(stores: Stores, spec: ModelSpec, days: Mapping[date, Cohort], until: datetime) -> None:
    """Report the alert `too_few_labels` while the champion's days stay without labels, else resolve it.

    The alert says which keys of `rollout` to write.
    """
    delay = timedelta(hours=0 if spec.traffic is None else spec.traffic.label_delay_hours)
    said = too_few_labels(days, spec.rollout, until, delay)
    if said is not None:
        stores.alerts.report(
            spec.model, Rule.TOO_FEW_LABELS, Severity.WARNING, said, done="nothing: only a team knows how labels come"
        )
    else:
        stores.alerts.resolve(spec.model, Rule.TOO_FEW_LABELS, "the labels of the last days are complete, or not due")


def _of_collapse(found: Collapse) -> Reading | None:
    """Return the accuracy of the two days; its limit is the share of the card's accuracy that counts as a collapse."""
    if found.accuracy is None or found.evaluated is None:
        return None
    limit = 100 * LEFT * found.evaluated
    return Reading(100 * found.accuracy, None, None, found.rows, limit, "%", "labels", window=2 * DAY)


def _of_slice(found: SliceTest) -> Reading | None:
    """Return the error rate of the slice with the proof, with its 95 % interval."""
    if found.rate is None:
        return None
    low, high = wilson_interval(found.wrong, found.rows)
    return Reading(100 * found.rate, 100 * low, 100 * high, found.rows, 100 * found.limit, "%", "labels")


def _resolve_of_another(stores: Stores, model: str, rule: Rule, champion: str) -> None:
    """Resolve the open alert of a rule if it is about a version that was champion before."""
    if any(alert.rule == rule and alert.version != champion for alert in stores.alerts.list(model)):
        stores.alerts.resolve(model, rule, f"{champion} serves now")
