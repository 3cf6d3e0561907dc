"""`Stores`, which opens every store of one MLOPS_HOME (registry, rollouts, rollups, log, spool, files) as set."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from sqlalchemy import Connection

from mlops_dagster.access.token_store import TokenStore
from mlops_dagster.alerting import Alert, AlertEvent, Alerts, Beats
from mlops_dagster.alerting.alerts import tell_nobody
from mlops_dagster.alerting.channels.message import Site
from mlops_dagster.alerting.delivery.delivery import Delivery
from mlops_dagster.alerting.delivery.letters import Letters
from mlops_dagster.alerting.delivery.outbox import Outbox
from mlops_dagster.alerting.delivery.trial import try_channel
from mlops_dagster.alerting.routing.channels_file import read_channels
from mlops_dagster.alerting.routing.coverage import gaps
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.alerting.watches import Watches
from mlops_dagster.clock import Clock, SystemClock
from mlops_dagster.errors import InvalidPolicyError, ModelNotFoundError, UnreadableError
from mlops_dagster.predictions import (
    AskedErasures,
    Feedback,
    LabelInbox,
    LabelOutbox,
    PredictionLog,
    Rollups,
    Spool,
    open_engine,
)
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.registry.session import os_user
from mlops_dagster.reports import Reports
from mlops_dagster.retention import RetentionRecord
from mlops_dagster.rollout.controller import Controller
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.store.store import RolloutStore
from mlops_dagster.settings import Settings
from mlops_dagster.storage.addresses import check_log_address
from mlops_dagster.storage.home import make_writable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from mlops_dagster.storage.files import Files


logger = logging.getLogger(__name__)


@runtime_checkable
class _Closes(Protocol):
    """A store with connections or files to close."""

    def close(self) -> None: ...


class Stores:
    """All stores of one `MLOPS_HOME`; each one is opened when it is first used.

    Raises HomeNotWritableError, and InvalidInputError for an address that cannot hold a log, at once rather than at the
    first write.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        clock: Clock | None = None,
        *,
        actor: str | None = None,
        s3: "S3Client | None" = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or SystemClock()
        self.actor = actor or os_user()
        self._s3 = s3
        check_log_address(self.settings.log)
        make_writable(self.settings.home)

    @cached_property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(settings=self.settings, clock=self.clock, actor=self.actor, s3=self._s3)

    def versions(self, model: str) -> list[ModelVersion]:
        """Return every version of `model` in order of registration; an empty list if the model is unknown."""
        try:
            return self.registry.list(model)
        except ModelNotFoundError:
            return []

    def champion(self, model: str, at: datetime | None = None) -> ModelVersion | None:
        """Return the champion of `model`, now or as of `at`; None if the model is unknown or had no champion."""
        try:
            if at is None:
                return self.registry.champion(model)
            name = self.registry.as_of(model, at).champion
        except ModelNotFoundError:
            return None
        return None if name is None else self.registry.get(model, name)

    @cached_property
    def tokens(self) -> TokenStore:
        return TokenStore(self.settings)

    @cached_property
    def rollouts(self) -> RolloutStore:
        return RolloutStore(self.settings.database)

    @cached_property
    def alerts(self) -> Alerts:
        return Alerts(
            self.settings.database,
            self.clock,
            name=self.settings.name,
            actor=self.actor,
            outbox=tell_nobody if self.settings.channels is None else self._tell,
            fleet_size=lambda: len(self.registry.models()),
        )

    @cached_property
    def watches(self) -> Watches:
        """The state of the rules that watch each model."""
        return Watches(self.settings.database)

    @cached_property
    def beats(self) -> Beats:
        """The last success of each watcher."""
        return Beats(self.settings.database, self.clock)

    @cached_property
    def delivery(self) -> Delivery | None:
        """The channels that alerts are told by; None if MLOPS_CHANNELS names none. Raises InvalidPolicyError."""
        if self.settings.channels is None:
            return None
        return Delivery(self.settings.database, self._routing, self._outbox, self._owners_of, self.alerts, self.clock)

    def try_channel(self, name: str) -> None:
        """Open and resolve a test alert in a channel.

        Raises InvalidPolicyError if there is no file of channels, or it cannot be used; NotFoundError for another
        channel; and ChannelRefusedError with the reason why it did not take the test.
        """
        if self.delivery is None:
            raise InvalidPolicyError("MLOPS_CHANNELS is not set; name the YAML file with the channels")
        with closing(self.delivery.open(name)) as opened:
            try_channel(opened, self._site, self.clock, self.actor)

    def routing_gaps(self) -> Sequence[str]:
        """Return a sentence for each route without a model, and for models that no route names; none without channels.

        Raises InvalidPolicyError.
        """
        if self.settings.channels is None:
            return ()
        return gaps(self._routing, {model: self._owners_of(model) for model in self.registry.models()})

    @cached_property
    def letters(self) -> Letters:
        """The messages about alerts that wait, or were given up."""
        return Letters(self.settings.database, self.clock)

    @cached_property
    def _routing(self) -> Routing:
        assert self.settings.channels is not None
        return read_channels(self.settings.channels)

    @cached_property
    def _outbox(self) -> Outbox:
        return Outbox(self._routing, self._site, self._owners_of, self.clock)

    @property
    def _site(self) -> Site:
        settings = self.settings
        return Site(settings.name, settings.board_url, settings.dagster_url, settings.docs_url)

    def _tell(self, connection: Connection, event: AlertEvent, alert: Alert | None) -> None:
        """Put an event into the outbox. A file that cannot be read loses no alert: reminders tell of it later."""
        try:
            outbox = self._outbox
        except InvalidPolicyError as error:
            logger.error("nobody is told of alerts: %s", error)
        else:
            outbox.enqueue(connection, event, alert)

    def _owners_of(self, model: str) -> Sequence[str]:
        """Return the owners of a model, by its published policies; none for a model without any."""
        try:
            owners = self.registry.policies(model).sections.get("owners")
        except UnreadableError:
            return ()
        return [each for each in owners if isinstance(each, str)] if isinstance(owners, list) else ()

    @cached_property
    def reports(self) -> Reports:
        """The hourly, daily and weekly findings about each model."""
        return Reports(self.settings.database, self.clock)

    @cached_property
    def retention(self) -> RetentionRecord:
        """From when on each kind of record is whole, and what retention removed."""
        return RetentionRecord(self.settings.database)

    @property
    def rollups(self) -> Rollups:
        """The rollups that decisions read: those of all machines where they share a database, else of this machine."""
        return self.shared_rollups or self.local_rollups

    @cached_property
    def shared_rollups(self) -> Rollups | None:
        url = self.settings.shared_rollups
        return None if url is None else Rollups(url, consumer="shared")

    @cached_property
    def local_rollups(self) -> Rollups:
        """The rollups of this machine, for its fuse: they can be read while the database is away."""
        return Rollups(self.settings.local_rollups)

    @cached_property
    def log(self) -> PredictionLog:
        return PredictionLog(self.settings.log, open_engine(self.settings.engine))

    @cached_property
    def profiles(self) -> "Files":
        from mlops_dagster.storage.files import open_files

        return open_files(self.settings.storage, "profiles", self._s3)

    @cached_property
    def report_pages(self) -> "Files":
        from mlops_dagster.storage.files import open_files

        return open_files(self.settings.storage, "reports", self._s3)

    @cached_property
    def data_docs(self) -> "Files":
        from mlops_dagster.storage.files import open_files

        return open_files(self.settings.storage, "data_docs", self._s3)

    @cached_property
    def quarantine(self) -> "Files":
        """Files with the rows of batches that failed their validation."""
        return self._rows("quarantine")

    @cached_property
    def batch_scores(self) -> "Files":
        """Files with the rows of days that are to be scored, and their scores."""
        return self._rows("batch_scores")

    def _rows(self, folder: Literal["quarantine", "batch_scores"]) -> "Files":
        """Open a folder of rows next to the artifacts if MLOPS_STORAGE_URL is set, else in the home."""
        from mlops_dagster.storage.files import open_files

        return open_files(self.settings.storage_url or str(self.settings.home), folder, self._s3)

    @cached_property
    def spool(self) -> Spool:
        return Spool(self.settings.spool_path, durability=self.settings.durability)

    @cached_property
    def feedback(self) -> Feedback:
        """The taker of labels, also of labels for other replicas' predictions where the replicas share a database."""
        settings, url = self.settings, self.settings.shared_rollups
        outbox = LabelOutbox(settings.label_outbox_path, durability=settings.durability)
        return Feedback(self.spool, None if url is None else LabelInbox(url), outbox, SystemClock())

    @cached_property
    def asked_erasures(self) -> AskedErasures:
        return AskedErasures(self.settings.asked_erasures_path)

    @property
    def all_rollups(self) -> list[Rollups]:
        """The rollups of this machine, and the shared ones if there are any."""
        return [self.local_rollups, *filter(None, [self.shared_rollups])]

    def close(self) -> None:
        """Close the stores that were opened; each opens again at its next use."""
        for name, store in [*vars(self).items()]:
            if isinstance(store, _Closes):
                store.close()
                delattr(self, name)

    def controller(self, policy_of: Callable[[str], RolloutPolicy]) -> Controller:
        return Controller(self.registry, self.rollouts, self.rollups, policy_of, self.clock)
