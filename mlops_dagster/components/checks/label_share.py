"""The alert `too_few_labels`: too few of a model's answers get a label to judge the model by."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.predictions import Cohort
from mlops_dagster.rollout.floor.matured import too_few_labels
from mlops_dagster.stores import Stores

RULE = Rule.TOO_FEW_LABELS


def tell_of_labels(stores: Stores, spec: ModelSpec, days: Mapping[date, Cohort], until: datetime) -> None:
    """Report the alert `too_few_labels` while the champion's days stay without labels, else resolve it.

    The alert says which keys of `rollout` to write.
    """
    delay = timedelta(hours=0 if spec.traffic is None else spec.traffic.label_delay_hours)
    said = too_few_labels(days, spec.rollout, until, delay)
    if said is not None:
        stores.alerts.report(
            spec.model, RULE, Severity.WARNING, said, done="nothing: only a team knows how labels come"
        )
    else:
        stores.alerts.resolve(spec.model, RULE, "the labels of the last days are complete, or not due")
