"""`mlops validation`: the suite that a person goes on to edit."""

import json
from collections.abc import Callable
from pathlib import Path

from mlops_dagster.monitoring import ValidationPolicy, suite_for
from mlops_dagster.monitoring.validation.expectations.document import read_suite, suite_to_json
from mlops_dagster.registry import Baseline, ModelRegistry, ModelVersion
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
from tests.support.program import Mlops

SCHEMA = ModelSchema(
    features=(Feature(name="country", kind="categorical"),), task=Classification(classes=("stays", "leaves"))
)


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
    assert f"9 expectations of churn 1.0.0 in {file}" in result.stdout
    derived = suite_to_json(suite_for(SCHEMA, baseline))
    assert file.read_text() == derived == mlops("validation", "suite", "churn").stdout
    assert suite_to_json(read_suite(file, SCHEMA)) == derived


def test_with_its_yaml_the_suite_in_force_is_written_and_refused_as_it_would_be(
    registry: ModelRegistry,
    add: Callable[..., ModelVersion],
    make_baseline: Callable[..., Baseline],
    mlops: Mlops,
    tmp_path: Path,
) -> None:
    baseline = make_baseline(60, 40)
    registry.transition(add("1.0.0", schema=SCHEMA, baseline=baseline), "Production", reason="first")
    yaml = tmp_path / "defs.yaml"
    attributes = (
        "attributes:\n  model: churn\n  validation: {max_outside: 0.3}\n  drift: {rows_per_observation: {country: 7}}\n"
    )
    yaml.write_text(attributes)
    found = mlops("validation", "suite", "churn", "--policy", yaml).stdout
    limits = ValidationPolicy(max_outside=0.3)
    assert found == suite_to_json(suite_for(SCHEMA, baseline, policy=limits, rows_per_observation={"country": 7.0}))
    assert (found.count('"mostly": 0.7'), found.count('"rows_per_observation": 7.0')) == (1, 2)
    assert "its limits: the defaults" in mlops("validation", "suite", "churn").stderr
    shared = {"validation": limits, "drift": {"rows_per_observation": {"country": 7}}}
    registry.publish_policies("churn", shared)
    assert mlops("validation", "suite", "churn").stdout == found

    yaml.write_text(attributes.replace("max_outside: 0.3", "suite: mine.json"))
    exists = '{"name": "mine", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "country"}}]}'
    (tmp_path / "mine.json").write_text(exists)
    own = mlops("validation", "suite", "churn", "--policy", yaml).stdout
    assert '"name": "mine"' in own
    named = {"validation": ValidationPolicy(suite=Path("mine.json")), "suite": json.loads(exists)}
    registry.publish_policies("churn", named)
    assert mlops("validation", "suite", "churn").stdout == own
    registry.publish_policies("churn", named | {"suite": None})
    assert "the suite 'mine.json' needs a `name`" in mlops("validation", "suite", "churn").stderr
    (tmp_path / "mine.json").write_text(exists.replace("country", "county"))
    refused = mlops("validation", "suite", "churn", "--policy", yaml)
    assert (refused.exit_code, "asks for the column 'county'" in refused.stderr) == (1, True)
    yaml.write_text(attributes.replace("max_outside", "max_outsid"))
    refused = mlops("validation", "suite", "churn", "--policy", yaml)
    assert (refused.exit_code, "max_outsid: Extra inputs" in refused.stderr) == (1, True)
    yaml.write_text("validation: {max_outside: 0.3}\n")
    assert "not a defs.yaml" in mlops("validation", "suite", "churn", "--policy", yaml).stderr
