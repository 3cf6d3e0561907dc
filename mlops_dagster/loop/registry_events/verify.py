"""The audit of the registry's history, with an alert while it does not verify."""

from mlops_dagster.alerting import FLEET, Rule, Severity
from mlops_dagster.errors import AuditError
from mlops_dagster.registry import AuditHead
from mlops_dagster.stores import Stores


def verify_history(stores: Stores) -> AuditHead:
    """Check every event and row of the registry, and open or resolve the alert `audit_broken`.

    Raises AuditError naming the first row that was changed, moved or removed.
    """
    try:
        head = stores.registry.audit()
    except AuditError as broken:
        stores.alerts.report(FLEET, Rule.AUDIT_BROKEN, Severity.CRITICAL, broken.told, done="nothing: it is for people")
        raise
    stores.alerts.resolve(FLEET, Rule.AUDIT_BROKEN, f"{head.events} events verify")
    return head
