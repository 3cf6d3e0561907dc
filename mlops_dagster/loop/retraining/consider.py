"""The decision to retrain, by the latest reports and by the trainings so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlops_dagster.clock import parse_time
from mlops_dagster.loop.apply_floor import latest_floor
from mlops_dagster.loop.judging.concept import latest_concept
from mlops_dagster.loop.judging.findings import DRIFT, FORGOTTEN_AFTER
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import PerformancePolicy
from mlops_dagster.registry import ModelPolicies, ModelVersion
from mlops_dagster.retraining.policy import RetrainDecision, RetrainingPolicy, should_retrain
from mlops_dagster.retraining.signals import ConceptSignal, DriftSignal, PerformanceSignal
from mlops_dagster.stores import Stores


@dataclass(frozen=True, slots=True)
class TrainingRuns:
    """The retraining runs of a model that have made no version; the orchestrator knows them."""

    failed_at: Sequence[datetime] = ()
    """The times as of which the failed ones trained."""
    running: bool = False


NO_RUNS: Final = TrainingRuns()


def consider_retraining(stores: Stores, spec: ModelSpec, runs: TrainingRuns) -> RetrainDecision:
    """Return whether to retrain now, by the latest reports on the champion."""
    now, champion = stores.clock.now(), stores.champion(spec.model)
    if champion is None:
        return RetrainDecision(False, None, "no champion yet")
    return _by_reports(stores, champion, spec.retraining, spec.performance, runs, now)


def action_on_findings(stores: Stores, champion: ModelVersion, policies: ModelPolicies, now: datetime) -> str:
    """Return what the latest reports lead to, for alerts of the watch: that a retraining is asked for, or why not.

    Runs of retrainings are unknown here: their events say more once there are some. The action is empty if no code
    location defines the model, which then is retrained by nothing.
    """
    if policies.location is None:
        return ""
    retraining, performance = (
        policies.section("retraining", RetrainingPolicy),
        policies.section("performance", PerformancePolicy),
    )
    found = _by_reports(stores, champion, retraining, performance, NO_RUNS, now)
    return f"{'a retraining is asked for' if found.retrain else 'no retraining'}: {found.reason}"


def action_on_loss(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion,
    runs: TrainingRuns,
    performance: PerformanceSignal | None,
) -> str:
    """Return the action on a proven loss of the champion, for alerts: that a retraining starts, or why it waits.

    The action is empty if the policy retrains on no concept drift.
    """
    if not spec.retraining.on_concept_drift:
        return ""
    loss = ConceptSignal(drifted=True, reason="concept drift")
    now = stores.clock.now()
    found = _decide(stores, champion, spec.retraining, runs, now, performance=performance, concept=loss)
    return "a retraining was asked for" if found.retrain else found.reason


def _by_reports(
    stores: Stores,
    champion: ModelVersion,
    policy: RetrainingPolicy,
    performance: PerformancePolicy,
    runs: TrainingRuns,
    now: datetime,
) -> RetrainDecision:
    floor = latest_floor(stores, champion.model, performance, now)
    return _decide(
        stores,
        champion,
        policy,
        runs,
        now,
        performance=None if floor is None else floor.asks_for_retraining(champion.version),
        concept=latest_concept(stores, champion.model, champion.version, now),
    )


def _decide(
    stores: Stores,
    champion: ModelVersion,
    policy: RetrainingPolicy,
    runs: TrainingRuns,
    now: datetime,
    *,
    performance: PerformanceSignal | None,
    concept: ConceptSignal | None,
) -> RetrainDecision:
    return should_retrain(
        policy,
        now=now,
        retrained_at=[_trained_at(each) for each in stores.versions(champion.model) if "dagster_run" in each.lineage],
        failed_at=runs.failed_at,
        running=runs.running,
        drift=_latest_drift(stores, champion.model, champion.version, now),
        rollout_active=stores.rollouts.active(champion.model) is not None,
        performance=performance,
        concept=concept,
    )


def _trained_at(version: ModelVersion) -> datetime:
    """Return the time as of which the version was trained: a repeat of last month's training ignores today's drift."""
    as_of = version.lineage.get("as_of")
    return version.created_at if as_of is None else parse_time(as_of)


def _latest_drift(stores: Stores, model: str, champion: str, now: datetime) -> DriftSignal | None:
    """Return what the newest hour's report found of this champion; None if it is of another, or days old."""
    found = stores.reports.recent(DRIFT, model, now, within=FORGOTTEN_AFTER)
    if found is None or found.champion != champion or found.content.drift is None:
        return None
    return DriftSignal.of(found.content.drift)
