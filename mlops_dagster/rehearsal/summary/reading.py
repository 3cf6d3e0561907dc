"""Reader of the summary: from registry, rollouts, rollups and log, and from the Dagster instance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.compat import AssetCheckExecutionRecordStatus
from mlops_dagster.loop.roll_out import PROMOTION, PROMOTION_REFUSED
from mlops_dagster.loop.shown.checks import GATES_OPEN
from mlops_dagster.monitoring import PerformanceReport, performance
from mlops_dagster.predictions import SERVED, audit
from mlops_dagster.rehearsal.plan import Plan
from mlops_dagster.rehearsal.releases.bad_release import BadRelease
from mlops_dagster.rehearsal.summary.feed import feed_of
from mlops_dagster.rehearsal.summary.summary import (
    BadReleaseSummary,
    PromotionSummary,
    Refusal,
    Retraining,
    RollbackSummary,
    Summary,
    VersionSummary,
)
from mlops_dagster.rollout import Outcome, Phase, Rollout
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import UNKNOWN_TASK, Least, QualityLimits

PAGE = 10_000
"""The largest number of events that Dagster returns at once."""


def read_summary(
    plan: Plan,
    stores: Stores,
    instance: dg.DagsterInstance,
    *,
    bad_releases: Sequence[tuple[BadRelease, str | None]],
    recorded: int,
    wall_seconds: float,
) -> Summary:
    """Return the summary; figures that are not arguments are read from `stores` or `instance`."""
    model = plan.model
    runs = instance.get_runs()
    jobs = Counter(run.job_name for run in runs)
    found, labelled = audit(stores.spool, stores.log, stores.rollups), stores.log.count_labelled(model)
    batches = _latest_by_partition(instance, _key(plan, "prediction_batch"))
    drift = _latest_by_partition(instance, _key(plan, "drift_report"))
    performed, gate = _performance(plan, stores), _gate(plan, stores)
    return Summary(
        model=model,
        notes=plan.notes,
        recorded=recorded,
        requests=_requests(plan, stores),
        answered=found.answered,
        logged=found.logged,
        labelled=labelled,
        never_labelled=found.logged - labelled,
        versions=_versions(plan, stores, gate.measure),
        bad_releases=[_bad_release(plan, stores, bad, version, gate.measure) for bad, version in bad_releases],
        refused=[*_refused_by_gates(plan, instance), *_refused(plan, instance)],
        promotions=list(_promotions(plan, instance)),
        rollbacks=[_rollback(plan, stores, rollout) for rollout in _rolled_back(plan, stores)],
        prediction_batches=len(batches),
        quarantined_batches=sum(batch.get("failures", []) != [] for batch in batches.values()),
        drift_reports=len(drift),
        drift_verdicts=dict(Counter(str(report["verdict"]) for report in drift.values())),
        label_checks=len(_latest_by_partition(instance, _key(plan, "label_drift"))),
        retrainings=_retrainings(plan, stores),
        decisions=_decisions(plan, stores),
        alerts=feed_of(stores, model),
        performance=[each for each in performed.versions if each.role in SERVED],
        headings=performed.headings,
        quality=gate.heading,
        dagster_runs=jobs.total(),
        runs_by_job=dict(sorted(jobs.items())),
        failed_runs=sum(run.status is dg.DagsterRunStatus.FAILURE for run in runs),
        wall_seconds=round(wall_seconds, 1),
    )


def _key(plan: Plan, asset: str) -> dg.AssetKey:
    return dg.AssetKey([plan.prefix, asset])


def _requests(plan: Plan, stores: Stores) -> int:
    """Return how many requests the split has answered, as the rollups count them."""
    day = timedelta(days=1)  # around midnight
    events = stores.rollups.events(plan.model, plan.start - day, plan.until + day)
    return sum(each.counts.requests for each in events if each.role in SERVED)


def _versions(plan: Plan, stores: Stores, measure: str) -> list[VersionSummary]:
    return [
        VersionSummary(
            version.version, version.digest, version.stage.value, version.reason, version.metrics.get(measure)
        )
        for version in stores.registry.list(plan.model)
    ]


def _bad_release(plan: Plan, stores: Stores, bad: BadRelease, version: str | None, measure: str) -> BadReleaseSummary:
    """Return the fate of a bad release; `version` is None if the history ended before it could be released."""
    rollouts = (
        [] if version is None else [each for each in stores.rollouts.list(plan.model) if each.challenger == version]
    )
    if version is None:
        fate = "not released: the rollout before it had not ended when the history did"
    elif not rollouts:
        fate = "registered, but no rollout began before the history ended"
    elif (phase := rollouts[-1].phase).ended:
        fate = f"{phase.value.replace('_', ' ')}: {rollouts[-1].reason}"
    else:
        fate = f"still {phase.value} at {rollouts[-1].weight:.0%} when the history ended"
    found = None if version is None else stores.registry.get(plan.model, version)
    quality = None if found is None else found.metrics.get(measure)
    return BadReleaseSummary(bad.name, bad.expected_loss, version, quality, fate)


def _refused_by_gates(plan: Plan, instance: dg.DagsterInstance) -> Iterator[Refusal]:
    """Yield the versions that passed no gates while there was no champion."""
    key = dg.AssetCheckKey(_key(plan, "registered_version"), GATES_OPEN)
    storage, failed = instance.event_log_storage, {AssetCheckExecutionRecordStatus.FAILED}
    for record in reversed(storage.get_asset_check_execution_history(key, limit=PAGE, status=failed)):
        assert record.event is not None
        evaluation = record.event.get_dagster_event().asset_check_evaluation_data
        version = str(evaluation.metadata["version"].value)
        yield Refusal(version, evaluation.description or "")


def _refused(plan: Plan, instance: dg.DagsterInstance) -> Iterator[Refusal]:
    """Yield the challengers that a gate refused at the end of their rollouts."""
    for metadata in _deployments(plan, instance, PROMOTION_REFUSED):
        yield Refusal(str(metadata["challenger"]), str(metadata["reason"]))


def last_failure(instance: dg.DagsterInstance, prefix: str) -> str | None:
    """Return the error of the newest failed training of a model; None if none failed."""
    failed = dg.RunsFilter(job_name=f"{prefix}_retrain", statuses=[dg.DagsterRunStatus.FAILURE])
    for run in instance.get_runs(failed, limit=1):
        return next(_errors(instance, run), None) or f"{run.job_name} ran into a blocking check"
    return None


def _errors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """Yield the first causes of the failures of a run's steps."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        error = entry.get_dagster_event().step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            yield error.message.strip()


def _deployments(plan: Plan, instance: dg.DagsterInstance, action: str) -> Iterator[dict[str, object]]:
    """Yield the metadata of every materialization of `deployment` by that action, oldest first."""
    for record in _materializations(instance, _key(plan, "deployment")):
        metadata = _metadata(record)
        if metadata["action"] == action:
            yield metadata


def _promotions(plan: Plan, instance: dg.DagsterInstance) -> Iterator[PromotionSummary]:
    for metadata in _deployments(plan, instance, PROMOTION):
        yield PromotionSummary(str(metadata["champion"]), str(metadata["at"]), str(metadata["reason"]))


def _rolled_back(plan: Plan, stores: Stores) -> list[Rollout]:
    return [rollout for rollout in stores.rollouts.list(plan.model) if rollout.phase is Phase.ROLLED_BACK]


def _rollback(plan: Plan, stores: Stores, rollout: Rollout) -> RollbackSummary:
    decision = next(found for found in stores.rollouts.decisions(rollout.id) if found.outcome is Outcome.ROLLBACK)
    names = (rollout.challenger, rollout.final)  # it may have been promoted before
    history = stores.registry.history(plan.model)
    event = next(event for event in history if event.kind == "rollback" and event.version in names)
    version = event.version or rollout.challenger
    # The fuse proves and acts in one step; a decision of a sensor is recorded before the sensor acts on it.
    proof = event if decision.origin == "deployment" else decision
    acknowledged = stores.registry.acknowledgements(plan.model)
    out_of_traffic = min((seen.at for seen in acknowledged if seen.epoch >= event.epoch), default=None)
    first_bad = stores.rollups.first_bad_at(plan.model, version, rollout.started_at)
    return RollbackSummary(
        version=version,
        at=proof.at.isoformat(),
        reason=decision.reason,
        by=event.actor,
        canary_weight=decision.rollout.weight,
        first_bad_at=None if first_bad is None else first_bad.isoformat(),
        seconds_to_proof=None if first_bad is None else (proof.at - first_bad).total_seconds(),
        seconds_to_zero_traffic=_seconds_between(proof.recorded_at, out_of_traffic),
    )


def _seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from `begin` to `end`, and 0 if the end came first: a fuse acts before its act is recorded."""
    return None if begin is None or end is None else max(round((end - begin).total_seconds(), 3), 0.0)


def _latest_by_partition(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dict[str, object]]:
    """Return the metadata of the last materialization of every partition."""
    records = _materializations(instance, key)
    return {record.partition_key: _metadata(record) for record in records if record.partition_key is not None}


def _materializations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """Yield all materializations of an asset, oldest first."""
    page = instance.fetch_materializations(key, limit=PAGE, ascending=True)
    yield from page.records
    while page.has_more:
        page = instance.fetch_materializations(key, limit=PAGE, cursor=page.cursor, ascending=True)
        yield from page.records


def _metadata(record: dg.EventLogRecord) -> dict[str, object]:
    materialization = record.asset_materialization
    return {} if materialization is None else {name: value.value for name, value in materialization.metadata.items()}


def _retrainings(plan: Plan, stores: Stores) -> list[Retraining]:
    """Return the versions that the training job has registered after the first."""
    return [
        Retraining(version.version, origin["trigger"], origin["as_of"], origin["reason"])
        for version in stores.registry.list(plan.model)
        if "dagster_run" in (origin := version.lineage) and origin["trigger"] != "first"
    ]


def _decisions(plan: Plan, stores: Stores) -> dict[str, int]:
    rollouts = stores.rollouts.list(plan.model)
    counts = Counter(decision.outcome for rollout in rollouts for decision in stores.rollouts.decisions(rollout.id))
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _performance(plan: Plan, stores: Stores) -> PerformanceReport:
    counts = stores.log.answers(plan.model, plan.start, plan.until)
    return performance(counts, tasks={each.version: each.task for each in stores.registry.list(plan.model)})


def _gate(plan: Plan, stores: Stores) -> Least:
    """Return the measure of the quality gate, of the task of the versions."""
    tasks = [each.task for each in stores.registry.list(plan.model)]
    return (tasks or [UNKNOWN_TASK])[0].least(QualityLimits())[0]
