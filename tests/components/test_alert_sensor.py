"""The sensor that watches the fleet, in Dagster."""

from pathlib import Path

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.defs.alerts import alerts


def test_it_says_what_it_has_judged(tmp_path: Path) -> None:
    with dg.build_sensor_context(resources={"platform": Platform(home=str(tmp_path))}) as context:
        evaluated = alerts.evaluate_tick(context)
    assert evaluated.skip_message == "0 rules of 0 models judged: 0 alerts opened, 0 resolved"
