"""Reads the summary back: from registry, rollouts, rollups and log, and from the Dagster instance."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import dagster as dg

from mlops_dagster.monitoring import Performance, performance
from mlops_dagster.predictions import SERVED, audit
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.summary import (
    PromotionSummary,
    Refusal,
    Retraining,
    RollbackSummary,
    Summary,
    VersionSummary,
)
from mlops_dagster.rollout import Outcome, Phase, Rollout
from mlops_dagster.wiring import House

PAGE = 10_000
"""Dagster gives no more events at once."""


def read_summary(
    scenario: Scenario, house: House, instance: dg.DagsterInstance, *, recorded: int, wall_seconds: float
) -> Summary:
    """Every figure but the two that are given comes from `house` or `instance`."""
    model = scenario.model
    runs = instance.get_runs()
    jobs = Counter(run.job_name for run in runs)
    found = audit(house.spool, house.log)
    labelled = house.log.count_labelled(model)
    batches = _latest_by_partition(instance, _key(scenario, "prediction_batch"))
    drift = _latest_by_partition(instance, _key(scenario, "drift_report"))
    return Summary(
        model=model,
        recorded=recorded,
        requests=_requests(scenario, house),
        answered=found.answered,
        logged=found.logged,
        labelled=labelled,
        never_labelled=found.logged - labelled,
        versions=_versions(scenario, house),
        refused=list(_refused(scenario, instance)),
        promotions=list(_promotions(scenario, instance)),
        rollbacks=[_rollback(scenario, house, instance, rollout) for rollout in _rolled_back(scenario, house)],
        prediction_batches=len(batches),
        quarantined_batches=sum(batch.get("failures", []) != [] for batch in batches.values()),
        drift_reports=len(drift),
        drift_verdicts=dict(Counter(str(report["verdict"]) for report in drift.values())),
        label_checks=len(_latest_by_partition(instance, _key(scenario, "label_drift"))),
        retrainings=_retrainings(scenario, house),
        decisions=_decisions(scenario, house),
        performance=_performance(scenario, house),
        dagster_runs=jobs.total(),
        runs_by_job=dict(sorted(jobs.items())),
        failed_runs=sum(run.status is dg.DagsterRunStatus.FAILURE for run in runs),
        wall_seconds=round(wall_seconds, 1),
    )


def _key(scenario: Scenario, asset: str) -> dg.AssetKey:
    return dg.AssetKey([scenario.prefix, asset])


def _requests(scenario: Scenario, house: House) -> int:
    """What the split has answered, as the rollups count it."""
    day = timedelta(days=1)  # around midnight
    events = house.rollups.events(scenario.model, scenario.start - day, scenario.until + day)
    return sum(each.counts.requests for each in events if each.role in SERVED)


def _versions(scenario: Scenario, house: House) -> list[VersionSummary]:
    return [
        VersionSummary(
            version.version, version.digest, version.stage.value, version.reason, version.metrics.get("micro_f1")
        )
        for version in house.registry.list(scenario.model)
    ]


def _refused(scenario: Scenario, instance: dg.DagsterInstance) -> Iterator[Refusal]:
    """The promotion runs that failed, and with what."""
    failed = dg.RunsFilter(job_name=f"{scenario.prefix}_promote", statuses=[dg.DagsterRunStatus.FAILURE])
    for run in reversed(instance.get_runs(failed)):
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            error = entry.get_dagster_event().step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None:
                yield Refusal(_promoted_version(scenario, run), error.message.strip(), run.run_id)


def _promoted_version(scenario: Scenario, run: dg.DagsterRun) -> str:
    return _promotion_config(scenario, run)["version"]


def _promotion_config(scenario: Scenario, run: dg.DagsterRun) -> Mapping[str, str]:
    config = cast("Mapping[str, Any]", run.run_config)  # JSON: ops, then the op's name, then config
    return cast("Mapping[str, str]", config["ops"][f"{scenario.prefix}_promotion"]["config"])


def _deployments(
    scenario: Scenario, instance: dg.DagsterInstance, action: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """Run and metadata of every materialization of `deployment` by that action, oldest first."""
    for record in _materializations(instance, _key(scenario, "deployment")):
        metadata = _metadata(record)
        if metadata["action"] == action:
            yield record.run_id, metadata


def _promotions(scenario: Scenario, instance: dg.DagsterInstance) -> Iterator[PromotionSummary]:
    for run_id, metadata in _deployments(scenario, instance, "promotion"):
        run = instance.get_run_by_id(run_id)
        at = "" if run is None else _promotion_config(scenario, run)["as_of"]
        yield PromotionSummary(str(metadata["champion"]), at, str(metadata["reason"]), run_id)


def _rolled_back(scenario: Scenario, house: House) -> list[Rollout]:
    return [rollout for rollout in house.rollouts.list(scenario.model) if rollout.phase is Phase.ROLLED_BACK]


def _rollback(scenario: Scenario, house: House, instance: dg.DagsterInstance, rollout: Rollout) -> RollbackSummary:
    decision = next(found for found in house.rollouts.decisions(rollout.id) if found.outcome is Outcome.ROLLBACK)
    names = (rollout.challenger, rollout.final)  # it may have been promoted before
    history = house.registry.history(scenario.model)
    event = next(event for event in history if event.kind == "rollback" and event.version in names)
    version = event.version or rollout.challenger
    # The fuse proves and acts in one; what is decided in a sensor is recorded before a run acts on it.
    proof = event if decision.origin == "deployment" else decision
    acknowledged = house.registry.acknowledgements(scenario.model)
    out_of_traffic = min((seen.at for seen in acknowledged if seen.epoch >= event.epoch), default=None)
    first_bad = house.rollups.first_bad_at(scenario.model, version, rollout.started_at)
    runs = [
        run
        for run, seen in _deployments(scenario, instance, "rollback")
        if seen.get("challenger") == rollout.challenger
    ]
    return RollbackSummary(
        version=version,
        at=proof.at.isoformat(),
        reason=decision.reason,
        by=event.actor,
        run_id=runs[0] if runs else "",
        canary_weight=decision.rollout.weight,
        first_bad_at=None if first_bad is None else first_bad.isoformat(),
        seconds_to_proof=None if first_bad is None else (proof.at - first_bad).total_seconds(),
        seconds_to_zero_traffic=_seconds_between(proof.recorded_at, out_of_traffic),
    )


def _seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round((end - begin).total_seconds(), 3)


def _latest_by_partition(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dict[str, object]]:
    """The metadata of the last materialization of every partition."""
    records = _materializations(instance, key)
    return {record.partition_key: _metadata(record) for record in records if record.partition_key is not None}


def _materializations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """All of an asset, oldest first."""
    page = instance.fetch_materializations(key, limit=PAGE, ascending=True)
    yield from page.records
    while page.has_more:
        page = instance.fetch_materializations(key, limit=PAGE, cursor=page.cursor, ascending=True)
        yield from page.records


def _metadata(record: dg.EventLogRecord) -> dict[str, object]:
    materialization = record.asset_materialization
    return {} if materialization is None else {name: value.value for name, value in materialization.metadata.items()}


def _retrainings(scenario: Scenario, house: House) -> list[Retraining]:
    """The versions that the training job has registered after the first."""
    return [
        Retraining(version.version, origin["trigger"], origin["as_of"], origin["reason"])
        for version in house.registry.list(scenario.model)
        if "dagster_run" in (origin := version.lineage) and origin["trigger"] != "first"
    ]


def _decisions(scenario: Scenario, house: House) -> dict[str, int]:
    rollouts = house.rollouts.list(scenario.model)
    counts = Counter(decision.outcome for rollout in rollouts for decision in house.rollouts.decisions(rollout.id))
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _performance(scenario: Scenario, house: House) -> list[Performance]:
    rows = house.log.labelled(scenario.model, scenario.start, scenario.until)
    return [found for found in performance(rows).versions if found.role in SERVED]
