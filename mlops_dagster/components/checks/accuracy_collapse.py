"""The alert on a champion that has lost a fifth of its accuracy."""

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.monitoring import CollapseVerdict, ConceptReport, ConceptVerdict
from mlops_dagster.stores import Stores

RULE = Rule.ACCURACY_COLLAPSE


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
            RULE,
            Severity.CRITICAL if proven else Severity.WARNING,
            f"{champion}{'' if proven else ' may have lost a fifth of its accuracy'}: {report.collapse.reason}",
            done=then if proven else "nothing: it may be these days alone",
            evidence={"champion": champion, **report.collapse.numbers()},
        )
    elif report is not None and verdict is CollapseVerdict.HOLDS:
        stores.alerts.resolve(spec.model, RULE, f"{champion}: {report.collapse.reason}")
    elif any(alert.rule == RULE and alert.evidence["champion"] != champion for alert in stores.alerts.list(spec.model)):
        stores.alerts.resolve(spec.model, RULE, f"{champion} serves now")
