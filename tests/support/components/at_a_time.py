"""Dagster at a time of our choosing."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import Platform
from mlops_dagster.components.fleet import with_fleet
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.loop.spec import ModelSpec


def cells(table: object) -> list[list[object]]:
    """The rows of a table among metadata."""
    assert isinstance(table, dg.TableMetadataValue)
    return [[record.data[column.name] for column in table.schema.columns] for record in table.records]


class PlatformAt(Platform):
    """A platform whose clock shows `now`."""

    now: str

    def clock(self) -> ReplayedClock:
        return ReplayedClock(datetime.fromisoformat(self.now).astimezone(UTC))


def repository_of(platform: Platform, *specs: ModelSpec) -> dg.RepositoryDefinition:
    """Return a code location of some models."""
    shared = dg.Definitions(resources={"platform": platform}, executor=dg.in_process_executor)
    return with_fleet(dg.Definitions.merge(shared, *map(lifecycle_defs, specs)), specs).get_repository_def()


class DagsterAt:
    """A code location of one model on the stores of `home`, as it behaves at `now`."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, now: datetime, spec: ModelSpec) -> None:
        self.home = home
        self.instance = instance
        self._model = spec.model
        self._platform = PlatformAt(home=str(home), now=now.isoformat())
        self._repository = repository_of(self._platform, spec)

    def run(
        self, job: str, run_config: dict[str, object] | None = None, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        return self._repository.get_job(job).execute_in_process(
            run_config=run_config, instance=self.instance, tags=tags
        )

    def tick(self, sensor: str) -> dg.RunRequest | str:
        """What a sensor asks for, or says of the model."""
        resources = {"platform": self._platform}
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self._repository, resources=resources
        ) as context:
            ticked = self._repository.get_sensor_def(sensor).evaluate_tick(context)
        said = str(ticked.skip_message).removeprefix(f"{self._model}: ")
        return next(iter(ticked.run_requests or ()), None) or said
