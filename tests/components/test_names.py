"""A code location loads whatever its models are called, and what is wrong with one name is that model's trouble."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from flights.definitions import defs
from mlops_dagster.components import ModelSpec, Platform
from mlops_dagster.components.fleet import with_fleet
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.components.partitions import HOURLY
from mlops_dagster.stores import Stores
from tests.components.test_spec import GOOD
from tests.support.components.at_a_time import PlatformAt, repository_of
from tests.support.predictions.records import a_record

BATCHES = {"batch_scores": True}
SHARED = dg.Definitions(resources={"platform": Platform()})
AT = datetime(2013, 3, 2, 0, 5, tzinfo=UTC)


def spec_of(model: str) -> ModelSpec:
    return ModelSpec.model_validate(GOOD | BATCHES | {"model": model})


def names_of(definitions: dg.Definitions) -> set[str]:
    """All names by which Dagster tells jobs, ops, schedules and sensors apart."""
    repository = dg.Definitions.merge(definitions, SHARED).get_repository_def()
    jobs = repository.get_all_jobs()
    ops = {node.name for job in jobs for node in job.all_node_defs}
    return ops | {each.name for each in (*jobs, *repository.schedule_defs, *repository.sensor_defs)}


def test_a_model_may_be_called_like_something_of_ours_or_of_another_model() -> None:
    models = ("shop", "shop-rollout", "Shop-2", "hourly", "hourly-monitoring", "mlflow-catalogue", "labels", "x" * 100)
    dg.Definitions.validate_loadable(dg.Definitions.merge(defs(), *(lifecycle_defs(spec_of(each)) for each in models)))


def test_no_name_of_ours_ends_as_another_one() -> None:
    """Then no two models can share one, whatever they are called: what makes that so, beside the doubled separator."""
    shop = spec_of("shop")
    all_of_it = names_of(with_fleet(lifecycle_defs(shop), [shop]))
    found = {name.removeprefix("shop_") for name in all_of_it if "__" not in name}
    assert len(found) > 12
    shared = {(one, other) for one in found for other in found if one.endswith(f"_{other}")}
    assert shared == set()


def test_each_model_is_monitored_whatever_others_the_registry_has(tmp_path: Path) -> None:
    """`card-fraud` is asked for by its own name, registered or not, and so never for hours of `card_fraud`."""
    platform = PlatformAt(home=str(tmp_path), now=AT.isoformat())
    stores: Stores = platform.stores()
    for model, hour in (("card-fraud", 3), ("card_fraud", 20)):
        stores.spool.append([a_record(60 * hour, model=model)])
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    repository = repository_of(platform, spec_of("card-fraud"))
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=AT, repository_def=repository, resources={"platform": platform}
        ) as context,
    ):
        ticked = repository.get_schedule_def("hourly_monitoring_schedule").evaluate_tick(context)
    asked = [request.tags["dagster/asset_partition_range_start"] for request in ticked.run_requests or ()]
    assert min(asked) == "2013-03-01-03:00"
    assert HOURLY.partitions().get_partition_key_for_timestamp((AT - timedelta(hours=1)).timestamp()) in {
        request.tags["dagster/asset_partition_range_end"] for request in ticked.run_requests or ()
    }
