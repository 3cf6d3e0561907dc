"""Whatever is asked of a batch: what is told of it names none of its values, those of one person least of all."""

import inspect
import json
import re
from typing import Any

import great_expectations.expectations.core as core
import pandas as pd
import pytest
from great_expectations import ExpectationSuite
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.registry import list_registered_expectation_implementations

from mlops_dagster.monitoring import ValidationResult, validate
from mlops_dagster.monitoring.pages.data_docs import draw

NAME, BORN, INCOME = "Zoë Quüx-7731", "1871-03-05T05:06:07", 82_641_937.25
SECRETS = re.compile(rf"{re.escape(NAME)}|Qu.{{1,8}}x-7731|1871-03-05|82.?641.?937|8\.264193")

ASKED: dict[str, object] = {
    "column": "name", "column_A": "name", "column_B": "born", "column_list": ["name", "born"], "column_set": ["name"],
    "column_index": 7, "value_set": ["Ada"], "regex": "^A", "regex_list": ["^A"], "like_pattern": "A%",
    "like_pattern_list": ["A%"], "strftime_format": "%d/%m", "json_schema": {"type": "object"}, "type_": "int64",
    "type_list": ["int64"], "value": 7, "min_value": 1, "max_value": 2, "threshold": 0.1, "double_sided": True,
    "value_pairs_set": [("Ada", "1815")], "value_ranges": [[0, 1]], "sum_total": 7, "ties_okay": False,
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}, "other_table_name": "another",
    "partition_object": {"values": ["Ada", "Bob"], "weights": [0.5, 0.5]}, "mostly": 0.9,
    "min_value_a": 1, "unexpected_rows_query": "SELECT * FROM {batch}",
}  # fmt: skip
"""Arguments by their names: nobody meets them."""

KNOWN = set(list_registered_expectation_implementations())
KINDS = [
    kind for _, kind in inspect.getmembers(core, inspect.isclass) if getattr(kind, "expectation_type", "") in KNOWN
]
OF_NUMBERS = {"partition_object": {"bins": [0.0, 1.0, 2.0], "weights": [0.5, 0.5]}}


def asked_of(kind: type[Expectation], column: str) -> Expectation | None:
    fields: dict[str, Any] = kind.model_fields if hasattr(kind, "model_fields") else kind.__fields__
    given = {**ASKED, "column": column, **(OF_NUMBERS if column == "income" else {})}
    try:
        return kind(**{name: given[name] for name in fields if name in given})
    except Exception:  # it takes other arguments together
        return None


def batch() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["Ada", NAME, NAME, "Bob"] * 3,
            "born": ["1815-12-10", BORN, BORN, "1816-01-01"] * 3,
            "income": [10.0, INCOME, INCOME, 12.0] * 3,
            "mixed": [10.0, NAME, INCOME, None] * 3,
        }
    )


def told_of(asked: list[Expectation], column: str) -> ValidationResult:
    found = validate(batch(), ExpectationSuite(name="told", expectations=asked), "day")
    assert found.verdict == "failed", column
    everything = [*found.failures, *found.doubts, *found.errors]
    if found.found is not None:
        everything += [
            json.dumps(found.found.to_json_dict(), ensure_ascii=False, default=str),
            draw(found.found, "told"),
        ]
    assert not [text for text in everything if SECRETS.search(text)]
    return found


@pytest.mark.parametrize("column", ["name", "born", "income"])
def test_no_expectation_tells_a_value(column: str) -> None:
    """All that Great Expectations has, those that cannot be evaluated among them."""
    asked = [made for made in (asked_of(kind, column) for kind in KINDS) if made is not None]
    assert len(asked) > 40
    told = told_of(asked, column)
    assert len(told.failures) + len(told.errors) > 10
    assert any("could not be evaluated" in reason for reason in told.errors)


def test_numbers_among_words_tell_their_types() -> None:
    asked = core.ExpectColumnValuesToBeOfType(column="mixed", type_="float64")
    assert told_of([asked], "mixed").failures == ("mixed: 3 of 9 values are not numbers but str",)
