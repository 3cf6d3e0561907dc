"""The housekeeper, a process that reads the spool: `python -m mlops_dagster.serving.upkeep.housekeeper`.

It is separate so that the workers' interpreters do nothing but answer requests.
"""

import logging
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from mlops_dagster.access.token_store import FOLLOW_SECONDS as FOLLOW_TOKENS_SECONDS
from mlops_dagster.alerting import DELIVERY_BEAT, tell_silent
from mlops_dagster.extras import is_panic
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.loop.registry_events.settle import settle_registry_alerts
from mlops_dagster.loop.registry_events.verify import verify_in_turn
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.processes.heartbeat import BEAT_SECONDS, ProcessHeartbeat, child_main
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.beating import DutyBeats, TasksOf
from mlops_dagster.serving.upkeep.fleet import fleet_text
from mlops_dagster.serving.upkeep.periodic import PeriodicTask
from mlops_dagster.serving.upkeep.shipping import Shipper
from mlops_dagster.serving.upkeep.telling import Telling
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

ROLL_UP_SECONDS = 1.0
SHIP_SECONDS = 5.0
TIDY_SECONDS = 300.0
MEASURE_SECONDS = 5.0
LABEL_SECONDS = 1.0
SETTLE_SECONDS = 60.0
PRUNE_SECONDS = 60.0
FORGET_SECONDS = 3600.0
LABEL_DEBT_SECONDS = 30.0
FOLLOW_SECONDS = 2.0
AUDIT_EVERY = timedelta(hours=6)
LIMITS_SECONDS = 15.0
FLEET_SECONDS = 30.0
REMIND_SECONDS = 10.0
WATCHED = ("rollups", "log", "registry events", "watchers", "fleet")
"""The duties of one task that others watch by their beats."""

NICER = 10  # added to the niceness: answers come first, and entries that are shipped a little later are not lost


def work(leash: ProcessHeartbeat, arguments: list[str]) -> None:
    """Count and ship until the supervisor lets this process go; then once more for the workers' last answers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # these reach the whole group, and the workers are not done yet
    name, restarts = arguments
    settings = Settings()
    stores, telemetry = Stores(settings, actor="data plane"), Telemetry(name)
    if int(restarts):
        telemetry.restarted("housekeeper")
    housekeeping = Shipper(stores, RegistryCache(settings.last_known_path), telemetry)
    telling = Telling(stores, telemetry)
    duties = _duties(stores, housekeeping, telemetry, telling)
    duties.append(PeriodicTask("signs of life", BEAT_SECONDS, lambda: leash.beat("housekeeper"), telemetry))
    duties.append(PeriodicTask("beats", FLEET_SECONDS, _duty_beats(stores, duties, telling).tell, telemetry))
    telemetry.measure()
    os.nice(NICER)
    for duty in duties:
        duty.start()
    # This also loads the libraries before there is traffic. A log that hangs holds up neither the counts nor the fuse.
    _take_what_is_left(housekeeping)
    leash.wait()
    for duty in duties:
        duty.stop()
    _take_what_is_left(housekeeping)
    telling.stop()


def _duties(stores: Stores, housekeeping: Shipper, telemetry: Telemetry, telling: Telling) -> list[PeriodicTask]:
    """Return what is done again and again, each in a thread: one that hangs holds up no other.

    None may reach for the database before its thread runs: a housekeeper starts while the database is away, too.
    """

    def roll_up() -> None:
        housekeeping.roll_up()
        for model, predictions in housekeeping.newly_repeated_ids().items():
            telemetry.labels.repeated_ids(model, predictions)

    def tell_label_debts() -> None:
        now = stores.clock.now()
        telemetry.labels.awaited(housekeeping.label_debts(now).items(), now)

    def follow_registry_events() -> None:
        follow_registry(stores)
        if not stores.settings.accept_event_time:  # replayed traffic has another present, which only its reports know
            settle_registry_alerts(stores)
            stores.alerts.update_mutes()

    def tell_fleet() -> None:
        text, failures = fleet_text(stores, stores.clock.now())
        telemetry.tell_fleet(text)
        if failures:
            raise failures[0]

    def watch_watchers() -> None:
        tell_silent(stores.alerts, stores.beats.list(), stores.clock.now())

    return [
        PeriodicTask("rollups", ROLL_UP_SECONDS, roll_up, telemetry),
        PeriodicTask("shared rollups", ROLL_UP_SECONDS, housekeeping.share, telemetry),
        PeriodicTask("log", SHIP_SECONDS, housekeeping.ship, telemetry),
        PeriodicTask("labels", LABEL_SECONDS, housekeeping.exchange_labels, telemetry, at_once=True),
        PeriodicTask("labels of nobody", SETTLE_SECONDS, housekeeping.settle_labels, telemetry),
        PeriodicTask("label index", PRUNE_SECONDS, housekeeping.prune_labels, telemetry),
        PeriodicTask("old counts", FORGET_SECONDS, housekeeping.forget_old_counts, telemetry),
        PeriodicTask("left behind", SETTLE_SECONDS, housekeeping.shed_of_the_dead, telemetry, at_once=True),
        PeriodicTask("tokens", FOLLOW_TOKENS_SECONDS, stores.tokens.copy, telemetry, at_once=True),
        PeriodicTask("tidy", TIDY_SECONDS, stores.log.tidy, telemetry),
        PeriodicTask("log alerts", LABEL_DEBT_SECONDS, housekeeping.tell_held, telemetry),
        PeriodicTask("registry events", FOLLOW_SECONDS, follow_registry_events, telemetry),
        PeriodicTask("audit", TIDY_SECONDS, lambda: verify_in_turn(stores, AUDIT_EVERY), telemetry),
        # At once, so that a restart leaves no gap in the metric.
        PeriodicTask("label debt", LABEL_DEBT_SECONDS, tell_label_debts, telemetry, at_once=True),
        PeriodicTask("watchers", FLEET_SECONDS, watch_watchers, telemetry),
        PeriodicTask("fleet", FLEET_SECONDS, tell_fleet, telemetry, at_once=True),
        PeriodicTask("slow limits", LIMITS_SECONDS, housekeeping.read_slow_limits, telemetry, at_once=True),
        PeriodicTask("outbox", TIDY_SECONDS, lambda: stores.letters.tidy(), telemetry),
        PeriodicTask("reminders", REMIND_SECONDS, telling.tell, telemetry, at_once=True),
        PeriodicTask("process", MEASURE_SECONDS, telemetry.measure, telemetry),
    ]


def _duty_beats(stores: Stores, duties: Sequence[PeriodicTask], telling: Telling) -> DutyBeats:
    """Return the beats of the duties that others watch; delivery is several tasks."""
    by_name = {duty.name: duty for duty in duties}
    watched: dict[str, TasksOf] = {f"duty:{name}": partial(_alone, by_name[name]) for name in WATCHED}
    watched[DELIVERY_BEAT] = lambda: (by_name["reminders"], *telling.deliverers)
    return DutyBeats(stores, watched, timedelta(seconds=2 * FLEET_SECONDS))


def _alone(task: PeriodicTask) -> Sequence[PeriodicTask]:
    return (task,)


def _take_what_is_left(housekeeping: Shipper) -> None:
    try:
        housekeeping.flush(log=True)
    except BaseException as error:  # also a panic of a library in Rust: the duties go on, and ship later
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        logger.error("the last predictions stay in the spool, and are shipped later: %s", error)


if __name__ == "__main__":
    child_main(work)
