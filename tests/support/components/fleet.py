"""A fleet beside the model `live`: its definitions, its champions, its rollouts, and its work under way."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import dagster as dg

from mlops_dagster.clock import SystemClock
from mlops_dagster.components.compat import PARTITION_NAME_TAG
from mlops_dagster.components.partitions import HOURLY
from mlops_dagster.links.dagster import prefix_of
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import Orchestrator
from tests.support.components.reaction import POLICY, SHARE
from tests.support.servable import tried_before
from tests.support.serving.data_plane import CARD, SCHEMA, eventually, make_baseline
from tests.support.serving.light import light_artifacts

ROLLOUTS = 20
"""With that of `live`."""

_DEFS = """\
type: mlops_dagster.components.ModelLifecycle
attributes:
  model: {model}
  trainer: live.busy
  training: {{dataset: made up}}
  card: {{intended_use: tests, failure_modes: [none], contacts: [me], fairness_attribute: carrier}}
  rollout: {{steps: [0.2, 0.5], bake_hours: 0}}
  retraining: {{on_drift: false, cadence: null}}
"""
_BUSY = """\
from tests.support.serving.data_plane import SCHEMA, make_estimator

def training_set(start, end):
    while True:  # until its process is killed
        make_estimator(SCHEMA)

def estimator():
    raise NotImplementedError
"""


def names(models: int) -> list[str]:
    """Return the names of the other models."""
    return [f"model-{number:04}" for number in range(models - 1)]


def fleet_files(models: Sequence[str]) -> Mapping[str, str]:
    """Return the files of their definitions; training one of them keeps a core busy, and never ends."""
    files = {f"live/defs/{prefix_of(model)}/defs.yaml": _DEFS.format(model=model) for model in models}
    resources = "from mlops_dagster.defs.resources import shared as shared\n"
    return {**files, "live/busy.py": _BUSY, "live/defs/resources.py": resources}


def make_fleet(stores: Stores, models: Sequence[str]) -> None:
    """Give each model a champion, and the first ones a running rollout, with that of `live` ROLLOUTS of them."""
    baseline, controller = make_baseline(SCHEMA), stores.controller(lambda _model: POLICY)
    files = {version: light_artifacts(stores.settings.home, turns) for turns, version in enumerate(("1.0.0", "1.1.0"))}

    def register(model: str, version: str) -> ModelVersion:
        path = files[version][SCHEMA.digest, 15.0]
        return stores.registry.register(model, path, version, schema=SCHEMA, card=CARD, baseline=baseline)

    with tried_before():
        for number, model in enumerate(models):
            stores.registry.transition(register(model, "1.0.0"), Stage.PRODUCTION)
            if number < ROLLOUTS - 1:
                stores.registry.transition(register(model, "1.1.0"), Stage.CANARY, weight=SHARE)
                controller.tick(model)


def work(orchestrator: Orchestrator, model: str, seconds: float = 240) -> None:
    """Launch the hourly run of all models, and a retraining of one, unless they run; wait until they do."""
    retrain = f"{prefix_of(model)}_retrain"
    hour = {PARTITION_NAME_TAG: f"{SystemClock().now() - timedelta(hours=1):%Y-%m-%d-%H:00}"}
    for job, tags in ((retrain, {}), (HOURLY.job, hour)):
        if not at_work(orchestrator, job):
            orchestrator.launch(job, tags)
    eventually(lambda: all(at_work(orchestrator, job) for job in (retrain, HOURLY.job)), seconds=seconds)


def at_work(orchestrator: Orchestrator, job: str) -> bool:
    """Return whether a run of a job has begun and not ended. An ended one has succeeded."""
    runs = orchestrator.instance.get_runs(dg.RunsFilter(job_name=job))
    assert all(run.is_success for run in runs if run.is_finished), f"a run of {job} failed"
    return any(run.status is dg.DagsterRunStatus.STARTED for run in runs)
