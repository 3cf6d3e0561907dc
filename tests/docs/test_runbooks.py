"""Every rule has a runbook, with the parts that a person on call looks for."""

import re
from pathlib import Path

import pytest

from mlops_dagster.alerting import Rule

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
NO_RULES = ("index", "prometheus")
PARTS = ("**Meaning.**", "**The platform has already**", "**Look first**", "**Act**", "Resolved by itself")


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_has_a_page_with_every_part(rule: Rule) -> None:
    page = (RUNBOOKS / f"{rule}.md").read_text()
    assert page.startswith(f"# {rule}\n")
    assert [part for part in PARTS if part not in page] == []


def test_the_index_lists_each_rule_once() -> None:
    listed = re.findall(r"\]\((\w+)\.md\)", (RUNBOOKS / "index.md").read_text())
    assert (
        sorted(page for page in listed if page not in NO_RULES)
        == sorted(Rule)
        == sorted(page.stem for page in RUNBOOKS.glob("*.md") if page.stem not in NO_RULES)
    )
