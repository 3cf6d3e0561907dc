"""The view: one time of one home, with the reads that several sections share, and the models of the page."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Generic, TypeVar

from mlops_dagster.alerting import Alert, AlertPolicy, Severity
from mlops_dagster.alerting.slo import SloPolicy
from mlops_dagster.board.snapshot.entities import Page
from mlops_dagster.errors import MlopsError, ModelNotFoundError
from mlops_dagster.loop.watching.increments import day_of
from mlops_dagster.predictions import Totals, totals_by_day
from mlops_dagster.registry import Deployment, ModelPolicies, Stage
from mlops_dagster.rollout import Rollout
from mlops_dagster.stores import Stores

MODELS_A_PAGE: Final = 10
VERSIONS_A_PAGE: Final = 50
"""Of the page of one model."""
LIVE: Final = timedelta(minutes=1)
"""A time this much before the clock's is the past."""

_MONTH: Final = timedelta(days=30)

Found = TypeVar("Found")
Collected = TypeVar("Collected", bound=Collection[object])


class View:
    """The stores as of `at`, and one page of their models, or of the versions of the one model `only`.

    Raises NotKeptError for a time of which records have been removed. Each shared read is made once, and a failure of
    it is raised again to everyone who asks for it.
    """

    def __init__(self, stores: Stores, at: datetime, *, page: int = 1, only: str | None = None) -> None:
        self.stores = stores
        self.at = at
        self.only = only
        self.past = at < stores.clock.now() - LIVE
        self.as_of = at if self.past else None
        """The time of reads that are cheaper for the present: None for that."""
        if self.past:
            stores.retention.check_shown(at, only)
        self._number = page
        self._deployments = _Once(lambda: stores.registry.deployments(as_of=self.as_of))
        self._policies = _Once(lambda: stores.registry.policies_of(as_of=self.as_of))
        self._alerts = _Once(lambda: stores.alerts.as_of(at) if self.past else stores.alerts.list())
        self._days = _Once(lambda: totals_by_day(stores.rollups, self.month_since, at))
        self._stages = _Once(lambda: stores.registry.stage_counts(as_of=self.as_of))
        self._rollouts = _Once(lambda: stores.rollouts.running_at(at))
        self._rolled_out = _Once(
            lambda: {each.model for each in self._rollouts.get()} if self.past else stores.rollouts.running_models()
        )

    @property
    def deployments(self) -> Mapping[str, Deployment]:
        """The deployment of every model by name, sorted."""
        return self._deployments.get()

    @property
    def alerts(self) -> Sequence[Alert]:
        """The open alerts of all models, oldest first."""
        return self._alerts.get()

    def rollout(self, model: str) -> Rollout | None:
        """Return the rollout of a model that has not ended, as it is stored now; None without one."""
        if model not in self._rolled_out.get():
            return None
        if self.past:
            return next(each for each in self._rollouts.get() if each.model == model)
        return self.stores.rollouts.active(model)

    @property
    def stages(self) -> Mapping[str, Mapping[Stage, int]]:
        """The number of versions in each stage, by model."""
        return self._stages.get()

    @property
    def month_since(self) -> datetime:
        """The beginning of the day (UTC) 30 days ago."""
        return day_of(self.at) - _MONTH

    @property
    def days(self) -> Mapping[str, Mapping[datetime, Totals]]:
        """The answers of every model since `month_since`, by the beginning of the day."""
        return self._days.get()

    def policies(self, model: str) -> ModelPolicies:
        """Return the policies of a model that are in force; the defaults if none were published."""
        return self._policies.get().get(model) or ModelPolicies(model, {})

    def alert_policy(self, model: str) -> AlertPolicy:
        """Return the alert policy of a model. Raises UnreadableError."""
        return self.policies(model).section("alerts", AlertPolicy)

    def slo(self, model: str) -> SloPolicy:
        """Return the service level objectives of a model. Raises UnreadableError."""
        return self.policies(model).section("slo", SloPolicy)

    @cached_property
    def page(self) -> Page:
        """The page; of no model if the registry does not answer. Raises ModelNotFoundError for an unknown `only`."""
        try:
            known = self.deployments
        except MlopsError:
            return Page(1, 1, 0, self.only)
        if self.only is not None and self.only not in known:
            raise ModelNotFoundError(f"no model {self.only!r}; `mlops models list` shows what there is")
        if self.only is None:
            rows, most = len(known), MODELS_A_PAGE
        else:
            rows, most = self._versions(self.only), VERSIONS_A_PAGE
        pages = max(-(-rows // most), 1)
        return Page(min(max(self._number, 1), pages), pages, len(known), self.only)

    @cached_property
    def models(self) -> Sequence[str]:
        """The models of the page, the one in the worst state first. Raises StorageError."""
        if self.only is not None:
            return [self.only]
        first = (self.page.number - 1) * MODELS_A_PAGE
        return self._worst_first[first : first + MODELS_A_PAGE]

    @cached_property
    def _worst_first(self) -> Sequence[str]:
        """Every model: those with critical alerts, on hold, with warnings, in a rollout, and the others, by name."""
        known = self.deployments
        worst, rolled_out = worst_alerts(self._known(self._alerts)), self._known(self._rolled_out)

        def urgency(model: str) -> tuple[bool, bool, bool, bool, str]:
            severity = worst.get(model)
            return (
                severity is not Severity.CRITICAL,
                known[model].on_hold is None,
                severity is not Severity.WARNING,
                model not in rolled_out,
                model,
            )

        return sorted(known, key=urgency)

    def _versions(self, model: str) -> int:
        """Return the number of versions of a model; 0 if they cannot be counted, which the section about them says."""
        try:
            return sum(self.stages.get(model, {}).values())
        except MlopsError:
            return 0

    @staticmethod
    def _known(read: "_Once[Collected]") -> "Collected | tuple[()]":
        """Return what was read; nothing if it cannot be read, which the section about it says."""
        try:
            return read.get()
        except MlopsError:
            return ()


def worst_alerts(alerts: Sequence[Alert]) -> Mapping[str, Severity]:
    """Return the severity of the worst alert of each model that has one."""
    found: dict[str, Severity] = {}
    for each in alerts:
        found[each.model] = max(found.get(each.model, Severity.INFO), each.severity, key=lambda its: its.rank)
    return found


class _Once(Generic[Found]):
    """A read that is made once: its failure is remembered too, or each section would wait for a lost database."""

    def __init__(self, read: Callable[[], Found]) -> None:
        self._read = read
        self._found: list[Found] = []
        self._failure: Exception | None = None

    def get(self) -> Found:
        """Return what was read, or raise the failure."""
        if self._failure is not None:
            raise self._failure
        if not self._found:
            try:
                self._found.append(self._read())
            except Exception as failure:
                self._failure = failure
                raise
        return self._found[0]
