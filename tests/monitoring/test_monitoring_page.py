"""The page about monitoring says what the code does."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from mlops_dagster.monitoring import ConceptPolicy, DriftPolicy, PerformancePolicy, ValidationPolicy, Verdict
from mlops_dagster.monitoring.concept.report import ConceptVerdict
from mlops_dagster.retraining.policy import RetrainingPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
POLICIES: dict[str, type[BaseModel]] = {
    "drift": DriftPolicy,
    "concept": ConceptPolicy,
    "performance": PerformancePolicy,
    "validation": ValidationPolicy,
    "retraining": RetrainingPolicy,
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_tables_have_every_key_and_default(name: str) -> None:
    (table,) = re.findall(rf"^`{name}:`\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    said = {
        key: yaml.safe_load(default) for key, default in re.findall(r"^\| `(\w+)` \| `(.+?)` \|", table, re.MULTILINE)
    }
    assert said == POLICIES[name]().model_dump(mode="json")


def test_every_verdict_has_a_meaning() -> None:
    for verdict in (*Verdict, *ConceptVerdict):
        assert f"`{verdict.value}`" in PAGE


def test_the_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([\w/.-]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / link).exists(), link
