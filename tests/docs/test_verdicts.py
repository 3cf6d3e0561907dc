"""The page about drift and performance has the meaning of each verdict."""

from pathlib import Path

import pytest

from mlops_dagster.monitoring import Verdict
from mlops_dagster.monitoring.concept.report import ConceptVerdict

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "drift.md").read_text()


@pytest.mark.parametrize("verdict", [*Verdict, *ConceptVerdict])
def test_a_verdict_has_a_meaning(verdict: Verdict | ConceptVerdict) -> None:
    assert f"`{verdict.value}`" in PAGE
