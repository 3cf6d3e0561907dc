"""The alert of a champion that has lost a fifth of its accuracy."""

from mlops_dagster.alerting import Severity
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.monitoring import CollapseVerdict, ConceptReport
from mlops_dagster.wiring import House

RULE = "accuracy_collapse"


def tell_of_collapse(house: House, spec: ModelSpec, champion: str, report: ConceptReport | None, *, then: str) -> None:
    """The alert `accuracy_collapse`: open while it lasts; where the latest days cannot tell it stays as it is.

    `then` says what follows.
    """
    if report is not None and report.collapse.verdict is CollapseVerdict.COLLAPSED:
        found = report.collapse
        house.alerts.report(
            spec.model,
            RULE,
            Severity.CRITICAL,
            f"{champion}: {found.reason}",
            done=then,
            evidence={"champion": champion, **found.numbers()},
        )
    elif report is not None and report.collapse.verdict is CollapseVerdict.HOLDS:
        house.alerts.resolve(spec.model, RULE, f"{champion}: {report.collapse.reason}")
    elif any(alert.rule == RULE and alert.evidence["champion"] != champion for alert in house.alerts.list(spec.model)):
        house.alerts.resolve(spec.model, RULE, f"{champion} serves now")
