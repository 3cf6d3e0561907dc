"""`mlops validation`: the suite that a person goes on to edit."""

from collections.abc import Callable
from pathlib import Path

from mlops_dagster.monitoring import suite_for
from mlops_dagster.monitoring.suites import read_suite, suite_to_json
from mlops_dagster.registry import Baseline, ModelRegistry, ModelVersion
from mlops_dagster.schema import Feature, ModelSchema
from tests.cli.conftest import Mlops

SCHEMA = ModelSchema(features=(Feature(name="country", kind="categorical"),), classes=("stays", "leaves"))


def test_the_suite_of_the_champion_is_written_to_be_read_again(
    registry: ModelRegistry,
    add: Callable[..., ModelVersion],
    make_baseline: Callable[..., Baseline],
    mlops: Mlops,
    tmp_path: Path,
) -> None:
    assert mlops("validation", "suite", "churn").exit_code == 1
    baseline = make_baseline(60, 40)
    registry.transition(add("1.0.0", schema=SCHEMA, baseline=baseline), "Production", reason="first")
    file = tmp_path / "suite.json"
    result = mlops("validation", "suite", "churn", "--output", file)
    assert result.exit_code == 0
    assert f"8 expectations of churn 1.0.0 in {file}" in result.stdout
    derived = suite_to_json(suite_for(SCHEMA, baseline))
    assert file.read_text() == derived == mlops("validation", "suite", "churn").stdout
    assert suite_to_json(read_suite(file, SCHEMA)) == derived
