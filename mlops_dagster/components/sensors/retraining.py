"""The fleet's sensor that starts retrainings: on drift, on bad performance or on the cadence, the first that comes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.assets.training import TrainingRun
from mlops_dagster.components.compat import RUN_KEY_TAG, UnresolvedAssetJobDefinition
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.own import sensor
from mlops_dagster.components.sensors.training_runs import retrain_job, training_runs, unfinished_trainings
from mlops_dagster.loop.fleet import in_short, look_at_each
from mlops_dagster.loop.retraining.consider import consider_retraining
from mlops_dagster.loop.retraining.in_turn import BEAT, queue, take_turns
from mlops_dagster.loop.shown.training import decision_tags
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.retraining.policy import RetrainDecision

EVERY = timedelta(minutes=1)


def retraining_sensor(
    specs: Sequence[ModelSpec], jobs: Sequence[dg.JobDefinition | UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """Return the sensor `retraining`, which launches the job `retrain` of a model, one of `jobs`."""
    by_model = {spec.model: spec for spec in specs}

    @sensor("retraining", seconds=EVERY.seconds, jobs=jobs)
    def retraining(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        stores, instance = platform.stores(), context.instance
        now, most = stores.clock.now(), stores.settings.max_retrainings
        runs = training_runs(instance, specs)
        looks = look_at_each(specs, lambda spec: consider_retraining(stores, spec, runs[spec.model]))
        tried = _tried(instance, [model for model, found in looks.found.items() if found.retrain], now)
        turn = take_turns(looks.found, tried, most=most, unfinished=unfinished_trainings(instance), day=now.date())
        stores.beats.beat(BEAT, EVERY, note=queue(turn.waiting, most))
        if turn.models:  # models that could not be looked at are in the log, and fail the next tick
            return dg.SensorResult([_request(by_model[model], looks.found[model], now) for model in turn.models])
        looks.check()
        return dg.SkipReason(in_short(turn.waits) or "no models")

    return retraining


def _tried(instance: dg.DagsterInstance, models: Sequence[str], now: datetime) -> set[str]:
    """Return the models for which a run was requested today: a failed one is not repeated before tomorrow."""
    keys = {_run_key(model, now): model for model in models}
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: list(keys)})) if keys else []
    return {keys[run.tags[RUN_KEY_TAG]] for run in runs}


def _request(spec: ModelSpec, found: RetrainDecision, now: datetime) -> dg.RunRequest:
    trigger, numbers = found.trigger or "", dict(found.numbers)
    config = TrainingRun(as_of=now.isoformat(), trigger=trigger, reason=found.reason, numbers=numbers)
    return dg.RunRequest(
        run_key=_run_key(spec.model, now),
        job_name=retrain_job(spec),
        run_config=dg.RunConfig(ops={f"{spec.prefix}__training_set": config}),
        tags=decision_tags(found),
    )


def _run_key(model: str, now: datetime) -> str:
    return f"retrain-{model}-{now:%Y-%m-%d}"
