"""Dagster at a time of our choosing."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import Platform


def cells(table: object) -> list[list[object]]:
    """The rows of a table among metadata."""
    assert isinstance(table, dg.TableMetadataValue)
    return [[record.data[column.name] for column in table.schema.columns] for record in table.records]


class PlatformAt(Platform):
    """A platform whose clock shows `now`."""

    now: str

    def clock(self) -> ReplayedClock:
        return ReplayedClock(datetime.fromisoformat(self.now).astimezone(UTC))


class DagsterAt:
    """Some definitions on the stores of `home`, as they behave at `now`."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, now: datetime, *parts: dg.Definitions) -> None:
        self.home = home
        self.instance = instance
        self._platform = PlatformAt(home=str(home), now=now.isoformat())
        shared = dg.Definitions(resources={"platform": self._platform}, executor=dg.in_process_executor)
        self._repository = dg.Definitions.merge(*parts, shared).get_repository_def()

    def run(
        self, job: str, run_config: dict[str, object] | None = None, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        return self._repository.get_job(job).execute_in_process(
            run_config=run_config, instance=self.instance, tags=tags
        )

    def tick(self, sensor: str) -> dg.RunRequest | str:
        """What a sensor asks for, or why it does not."""
        resources = {"platform": self._platform}
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self._repository, resources=resources
        ) as context:
            ticked = self._repository.get_sensor_def(sensor).evaluate_tick(context)
        return next(iter(ticked.run_requests or ()), None) or str(ticked.skip_message)
