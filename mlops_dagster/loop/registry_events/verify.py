"""The audit of the registry's history, with an alert while it does not verify."""

from datetime import timedelta
from typing import Final

from mlops_dagster.alerting import FLEET, Rule, Severity
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import AuditError
from mlops_dagster.registry import AuditHead
from mlops_dagster.stores import Stores

BEAT: Final = "duty:audit"
"""The name of the beat of an audit, whatever it found."""


def verify_in_turn(stores: Stores, every: timedelta) -> None:
    """Check the history if no process of the fleet has done so within `every`, restarts or not.

    Raises AuditError, see `verify_history`, and StorageError.
    """
    now = stores.clock.now()
    if any(beat.name == BEAT and beat.age(now) < every for beat in stores.beats.list()):
        return
    try:
        verify_history(stores)
    except AuditError:
        stores.beats.beat(BEAT, every)
        raise
    stores.beats.beat(BEAT, every)


def verify_history(stores: Stores) -> AuditHead:
    """Check every event and row of the registry, and open or resolve the alert `audit_broken`.

    Raises AuditError naming the first row that was changed, moved or removed.
    """
    try:
        head = stores.registry.audit()
    except AuditError as broken:
        stores.alerts.report(FLEET, Rule.AUDIT_BROKEN, Severity.CRITICAL, broken.told, done="nothing: it is for people")
        raise
    stores.alerts.resolve(FLEET, Rule.AUDIT_BROKEN, f"the history verifies, with {counted(head.events, 'events')}")
    return head
