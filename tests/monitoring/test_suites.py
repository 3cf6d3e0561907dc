"""Suites as people edit them: JSON of Great Expectations, used as it stands or refused with the reason."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.components import load_from_defs_folder
from mlops_dagster.errors import InvalidSuiteError
from mlops_dagster.monitoring import ValidationPolicy, make_baseline, suite_for, validate, validate_each
from mlops_dagster.monitoring.validation.expectations.document import (
    check_suite_file,
    read_suite,
    suite_of,
    suite_to_json,
)
from mlops_dagster.schema import ModelSchema
from tests.monitoring.test_validation import BAD, SCHEMA, flights

Document = dict[str, Any]


@pytest.fixture(scope="module")
def derived() -> str:
    baseline = make_baseline(flights(5000, seed=0), SCHEMA, scores=np.full(5000, 0.5), labels=["late"] * 5000)
    return suite_to_json(suite_for(SCHEMA, baseline))


@pytest.fixture
def edited(tmp_path: Path, derived: str) -> Callable[[Callable[[Document], None]], Path]:
    def edit(change: Callable[[Document], None]) -> Path:
        document = json.loads(derived)
        change(document)
        file = tmp_path / "suite.json"
        file.write_text(json.dumps(document))
        return file

    return edit


def test_a_derived_suite_read_again_is_the_same(tmp_path: Path, derived: str) -> None:
    file = tmp_path / "suite.json"
    file.write_text(derived)
    again = read_suite(file, SCHEMA)
    assert suite_to_json(again) == derived
    for kind in BAD:
        batch = BAD[kind][0](flights(937, seed=2))
        assert validate(batch, again, "day").failures, kind
    assert validate(flights(937, seed=1), again, "day").passed


def test_the_file_is_used_instead_of_the_derived_suite(edited: Callable[..., Path]) -> None:
    def only_a_rule_of_its_own(document: Document) -> None:
        document["expectations"] = [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "delay", "max_value": 30}}
        ]

    file = edited(only_a_rule_of_its_own)
    suite = suite_of(SCHEMA, None, ValidationPolicy(suite=file))
    assert validate(flights(37, seed=1).assign(delay=20.0, temp="hot"), suite).passed
    (reason,) = validate(flights(37, seed=1).assign(delay=31.0), suite).failures
    assert reason == "delay: 37 of 37 values are outside any to 30; at most 0.0% may be"
    assert len(suite_of(SCHEMA, None, ValidationPolicy()).expectations) > 1


def test_what_is_said_of_a_whole_batch_is_asked_of_each(edited: Callable[..., Path]) -> None:
    """All hours together have the right mean; each by itself has not."""

    def a_mean(document: Document) -> None:
        mean = {"column": "delay", "min_value": -5, "max_value": 5}
        document["expectations"].append(
            {"type": "expect_column_mean_to_be_between", "kwargs": mean, "meta": {"min_batch_rows": 30}}
        )

    suite = read_suite(edited(a_mean), SCHEMA)
    frame = flights(37, seed=1)
    batches = {
        "low": frame.assign(delay=-20.0), "high": frame.assign(delay=20.0), "right": frame.assign(delay=0.0),
        "few": frame[:20].assign(delay=20.0),
    }  # fmt: skip
    found = validate_each(batches, suite)
    assert found == {key: validate(batch, suite) for key, batch in batches.items()}
    assert [key for key, each in found.items() if not each.passed] == ["low", "high"]


def test_what_is_asked_of_nobody_is_passed_by_nobody(edited: Callable[..., Path]) -> None:
    """By itself, and beside hours that have rows enough."""

    def of_many_rows(document: Document) -> None:
        document["expectations"] = [
            {
                "type": "expect_column_values_to_not_be_null",
                "kwargs": {"column": "temp"},
                "meta": {"min_batch_rows": 100},
            }
        ]

    suite = read_suite(edited(of_many_rows), SCHEMA)
    batches = {"few": flights(37, seed=1), "many": flights(150, seed=2), "more": flights(200, seed=3)}
    found = validate_each(batches, suite)
    assert {key: (each.verdict, each.passed, each.failures) for key, each in found.items()} == {
        "few": ("inconclusive", False, ()),
        "many": ("passed", True, ()),
        "more": ("passed", True, ()),
    }
    day = validate(batches["few"], suite, "day")
    assert (day.verdict, day.passed) == ("inconclusive", False)
    assert re.fullmatch("the suite schema-[0-9a-f]{12} asks nothing of a day of 37 rows", day.failures[0])


def test_a_failed_warning_is_a_doubt(edited: Callable[..., Path]) -> None:
    """By itself and among other hours: it fails nothing, and does not prove that all is well."""
    file = edited(
        lambda document: document.update(
            expectations=[
                {
                    "type": "expect_column_values_to_match_regex",
                    "kwargs": {"column": "origin", "regex": "^[A-Z]{3}$"},
                    "severity": severity,
                }
                for severity in ("warning", "info")
            ]
        )
    )
    suite = read_suite(file, SCHEMA)
    hours = {"bad": flights(37, seed=1).assign(origin="jfk"), "good": flights(37, seed=2), "fine": flights(37, seed=3)}
    found = validate_each(hours, suite)
    assert found == {key: validate(hour, suite) for key, hour in hours.items()}
    asked = "expect_column_values_to_match_regex (regex '^[A-Z]{3}$')"
    told = f"origin: 37 of 37 values are not as {asked} has it"
    assert found["bad"].passed
    assert [each.partition(";")[0] for each in found["bad"].doubts] == [told, told]
    assert found["good"].doubts == ()


def test_under_a_condition_a_share_is_as_it_stands(edited: Callable[..., Path]) -> None:
    """As the library exports one: it is asked of 30 rows, not of 300 as what chance explains would be."""
    under = {"column": {"name": "origin"}, "operator": "==", "parameter": "LGA", "type": "comparison"}
    asked = {"column": "delay", "max_value": 0, "mostly": 0.9, "row_condition": under}
    expectation = {"type": "expect_column_values_to_be_between", "kwargs": asked}
    suite = read_suite(edited(lambda document: document.update(expectations=[expectation])), SCHEMA)
    batch = flights(300, seed=1).assign(delay=-1.0, origin="JFK")
    batch.loc[:29, "origin"] = "LGA"
    batch.loc[:2, "delay"] = 1.0
    assert validate(batch, suite).passed
    batch.loc[:3, "delay"] = 1.0
    assert validate(batch, suite).failures == ("delay: 4 of 30 values are outside any to 0; at most 10.0% may be",)


REASONS: dict[str, tuple[Document, str]] = {
    "expect_column_mean_to_be_between": (
        {"column": "delay", "min_value": 900}, "delay: .* (min_value 900.0) failed, found: 20"
    ),
    "expect_table_row_count_to_be_between": ({"min_value": 99}, "the batch: .* (min_value 99) failed, found: 37"),
    "expect_column_distinct_values_to_be_in_set": (
        {"column": "origin", "value_set": ["JFK"]}, "origin: .* (value_set ['JFK']) failed, found: another value"
    ),
    "expect_table_columns_to_match_ordered_list": (
        {"column_list": ["temp"]},
        "the batch: .* (column_list ['temp']) failed, found: 2 of 3 are values that the suite does not name",
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        {"column_A": "delay", "column_B": "temp", "mostly": 0.9},
        "the batch: 37 of 37 values are not as .* (column_A 'delay', column_B 'temp') has it",
    ),
    "expect_column_to_exist": ({"column": "temp"}, "temp: there is no such column"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REASONS)
def test_whatever_is_asked_a_reason_is_one_line_with_what_was_asked_and_found(
    kind: str, edited: Callable[..., Path]
) -> None:
    arguments, reason = REASONS[kind]
    suite = read_suite(
        edited(lambda document: document.update(expectations=[{"type": kind, "kwargs": arguments}])), SCHEMA
    )
    batch = flights(37, seed=1).assign(delay=20.0, temp=50.0, origin="EWR")
    (told,) = validate(batch.drop(columns="temp") if "exist" in kind else batch, suite).failures
    assert re.match(".*".join(map(re.escape, reason.split(".*"))), told), told
    assert len(told) < 250


def replaced(**entry: object) -> Callable[[Document], None]:
    return lambda document: document["expectations"][1].update(entry)


WRONG: dict[str, tuple[Callable[[Document], None], str]] = {
    "no name": (lambda document: document.pop("name"), "needs a `name`"),
    "nothing expected": (lambda document: document["expectations"].clear(), "one or more `expectations`"),
    "no arguments": (lambda document: document["expectations"][1].pop("kwargs"), "expectation 2 needs a `type`"),
    "unknown kind of batch": (replaced(meta={"batches": ["month"]}), "expectation 2 .*'month'.*`batches`; a list"),
    "a list of lists": (replaced(meta={"batches": [["hour"]]}), "expectation 2 .*'hour'.*`batches`; a list"),
    "of no batch": (replaced(meta={"batches": []}), r"expectation 2 .*\[\] for `batches`; a list"),
    "rows in words": (replaced(meta={"min_batch_rows": "many"}), "expectation 2 .*'many' for `min_batch_rows`"),
    "rows that are true": (replaced(meta={"min_batch_rows": True}), "expectation 2 .*True for `min_batch_rows`; a"),
    "fewer rows than none": (
        replaced(meta={"min_batch_rows": -5}),
        "expectation 2 .*-5 for `min_batch_rows`; a number from 0 on",
    ),
    "no number of rows": (replaced(meta={"min_batch_rows": float("nan")}), "not JSON: NaN is not a number"),
    "misspelt rows": (
        replaced(meta={"min_batch_row": 100}),
        (
            r"expectation 2 .*\['min_batch_row'\] in its `meta`; "
            r"it may have \['batches', 'min_batch_rows', 'rows_per_observation'\]"
        ),
    ),
    "misspelt batches": (replaced(meta={"batch": ["day"]}), r"expectation 2 .*\['batch'\] in its `meta`; it may have"),
    "misspelt meta": (replaced(metta={"batches": ["day"]}), r"expectation 2 .*\['metta'\]; an expectation has"),
    "a key of nobody": (
        lambda document: document.update(expectation=[]),
        r"has \['expectation'\]; it may have \['expectations', 'id', 'meta', 'name'",
    ),
    "a label that no batch has": (
        replaced(type="expect_column_values_to_not_be_null", kwargs={"column": "label"}),
        r'expectation 2 .*`label`, which only training sets have: .*"batches": \["training_set"\]',
    ),
    "a label of days": (
        replaced(
            type="expect_compound_columns_to_be_unique",
            kwargs={"column_list": ["delay", "label"]},
            meta={"batches": ["day", "training_set"]},
        ),
        "expectation 2 .*`label`, which only training sets have",
    ),
    "no share of a row": (
        replaced(meta={"rows_per_observation": 0.5}),
        "expectation 2 .*0.5 for `rows_per_observation`; a number from 1 on",
    ),
    "an argument beside the others": (
        replaced(mostly=0.9),
        r"expectation 2 .*\['mostly'\]; .* `kwargs` with arguments",
    ),
    "unknown expectation": (replaced(type="expect_wonders"), r"expectation 2 \(expect_wonders\).*not found"),
    "of a database": (
        replaced(type="unexpected_rows_expectation", kwargs={"unexpected_rows_query": "SELECT 1 FROM {batch}"}),
        "expectation 2 .*asks a database",
    ),
    "a value to come": (
        replaced(
            type="expect_column_values_to_be_between", kwargs={"column": "temp", "min_value": {"$PARAMETER": "low"}}
        ),
        r"expectation 2 .*\$PARAMETER for \['min_value'\]",
    ),
    "an unknown severity": (replaced(severity="grave"), "expectation 2 .*Invalid severity 'grave'"),
    "unknown argument": (replaced(kwargs={"column": "temp", "tipe": 1}), "expectation 2 .*tipe"),
    "wrong value": (
        replaced(type="expect_column_values_to_be_between", kwargs={"column": "temp", "mostly": "most"}),
        "expectation 2 .*mostly",
    ),
    "unknown column": (
        replaced(type="expect_column_values_to_not_be_null", kwargs={"column": "tmep"}),
        r"expectation 2 .*'tmep'; there are delay, label, origin, temp",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_suite_is_refused_with_the_reason(kind: str, edited: Callable[..., Path]) -> None:
    change, reason = WRONG[kind]
    file = edited(change)
    with pytest.raises(InvalidSuiteError, match=f"(?s)suite.json.*{reason}"):
        read_suite(file, SCHEMA)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    with pytest.raises(InvalidSuiteError, match="No such file"):
        check_suite_file(file)
    file.write_text('{"name": "x", ')
    with pytest.raises(InvalidSuiteError, match="not JSON: Expecting property name"):
        check_suite_file(file)


@pytest.mark.slow
def test_a_model_whose_suite_can_never_be_used_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why. A good one is evaluated once: the next process to load it imports nothing slow for it."""
    project = tmp_path / "mine"
    model = project / "defs" / "model"
    model.mkdir(parents=True)
    (tmp_path / "dg.toml").write_text('directory_type = "project"\n[project]\nroot_module = "mine"\n')
    for folder in (project, project / "defs"):
        (folder / "__init__.py").touch()
    (project / "trainer.py").write_text(
        "from mlops_dagster.schema import Feature, ModelSchema\nfrom mlops_dagster.tasks import Classification\n"
        "TASK = Classification(classes=('x', 'y'))\n"
        "SCHEMA = ModelSchema(features=(Feature(name='a', kind='categorical'),), task=TASK)\n"
        "def training_set(start, end): ...\ndef estimator(): ...\n"
    )
    (model / "defs.yaml").write_text(
        "type: mlops_dagster.components.ModelLifecycle\n"
        "attributes:\n  model: my-model\n  trainer: mine.trainer\n  training: {dataset: mine}\n"
        "  card: {intended_use: x, failure_modes: [y], contacts: [z], fairness_attribute: w}\n"
        "  validation: {suite: suite.json}\n"
    )
    of_a = {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "a", "regex": "x"}}
    good = json.dumps({"name": "mine", "expectations": [of_a]})
    misspelt, no_pattern = good.replace("to_match", "to_mach"), good.replace('"x"', '"("')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for text in (misspelt, no_pattern, good):
        (model / "suite.json").write_text(text)
        load_from_defs_folder(path_within_project=Path("mine"))
    assert "suite.json: expectation 1 (expect_column_values_to_mach_regex) is not found in Great" in caplog.text
    assert "cannot be evaluated on any rows: expectation 1 (expect_column_values_to_match_regex): miss" in caplog.text
    assert len(caplog.records) == 2, "the good one is loaded"
    program = (
        "import pathlib, sys; from mlops_dagster.components import load_from_defs_folder\n"
        "load_from_defs_folder(path_within_project=pathlib.Path('mine'))\n"
        "print('great_expectations' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True) == "False\n"


NEVER: dict[str, tuple[str, dict[str, Any]]] = {
    "no pattern": ("expect_column_values_to_match_regex", {"column": "origin", "regex": "("}),
    "one of no patterns": ("expect_column_values_to_match_regex_list", {"column": "origin", "regex_list": ["a", "["]}),
    "minimum over maximum": ("expect_column_values_to_be_between", {"column": "delay", "min_value": 2, "max_value": 1}),
    "of a mean": ("expect_column_mean_to_be_between", {"column": "delay", "min_value": 2, "max_value": 1}),
    "of lengths": ("expect_column_value_lengths_to_be_between", {"column": "origin", "min_value": 2, "max_value": 1}),
    "of a quantile": (
        "expect_column_quantile_values_to_be_between",
        {"column": "delay", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[2, 1]]}},
    ),
    "not of pandas": ("expect_column_values_to_match_like_pattern", {"column": "origin", "like_pattern": "A%"}),
    "a mean of words": ("expect_column_mean_to_be_between", {"column": "origin", "max_value": 1}),
    "words as numbers": ("expect_column_values_to_be_between", {"column": "origin", "min_value": 1}),
    "numbers in words": ("expect_column_values_to_be_in_set", {"column": "origin", "value_set": [1, 2]}),
    "words in numbers": ("expect_column_values_to_not_be_in_set", {"column": "delay", "value_set": ["a"]}),
    "no type": ("expect_column_values_to_be_of_type", {"column": "delay", "type_": "nonsense"}),
    "two kinds": ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "delay", "column_B": "origin"}),
    "no condition": (
        "expect_column_values_to_not_be_null",
        {"column": "delay", "row_condition": "origin==", "condition_parser": "pandas"},
    ),
}


@pytest.mark.parametrize("kind", NEVER)
def test_what_can_never_be_evaluated_is_refused_by_name_before_any_batch(kind: str, tmp_path: Path) -> None:
    expectation, arguments = NEVER[kind]
    file = tmp_path / "suite.json"
    sound = {"type": "expect_column_to_exist", "kwargs": {"column": "delay"}}
    file.write_text(json.dumps({"name": "x", "expectations": [sound, {"type": expectation, "kwargs": arguments}]}))
    with pytest.raises(
        InvalidSuiteError, match=rf"cannot be evaluated on any rows.*: expectation 2 \({expectation}\): "
    ):
        read_suite(file, SCHEMA)


def test_what_no_made_up_row_meets_is_no_error(tmp_path: Path) -> None:
    """A condition that holds for none of them; a range, categories and a format that they are not of."""
    rare = {"row_condition": "origin=='rare'", "condition_parser": "pandas"}
    asked = [
        ("expect_column_mean_to_be_between", {"column": "delay", "min_value": 1, "max_value": 2, **rare}),
        ("expect_column_quantile_values_to_be_between",
         {"column": "delay", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 2]]}, **rare}),
        ("expect_column_values_to_be_between", {"column": "delay", "min_value": 1e6, "max_value": 1e7}),
        ("expect_column_values_to_be_in_set", {"column": "origin", "value_set": ["nobody"]}),
        ("expect_column_values_to_match_json_schema", {"column": "origin", "json_schema": {"type": "object"}}),
        ("expect_column_values_to_be_dateutil_parseable", {"column": "origin"}),
    ]  # fmt: skip
    file = tmp_path / "suite.json"
    file.write_text(json.dumps({"name": "x", "expectations": [{"type": t, "kwargs": k} for t, k in asked]}))
    assert len(read_suite(file, SCHEMA).expectations) == len(asked)


def test_an_expectation_that_breaks_on_a_batch_is_an_error_and_a_proven_failure_stays_one() -> None:
    """A condition on a column that the rows lack: of the rest it says nothing."""
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.core import ExpectColumnValuesToBeBetween, ExpectColumnValuesToMatchRegex

    broken = ExpectColumnValuesToMatchRegex(column="origin", regex="(")
    low = ExpectColumnValuesToBeBetween(column="delay", max_value=0)
    batch: pd.DataFrame = flights(37, seed=1).assign(delay=20.0)
    blind = validate(batch, ExpectationSuite(name="x", expectations=[broken]))
    assert (blind.verdict, blind.failures, len(blind.errors)) == ("error", (), 1)
    both = validate(batch, ExpectationSuite(name="x", expectations=[broken, low]))
    assert (both.verdict, both.passed, len(both.failures), len(both.errors)) == ("failed", False, 1, 1)
    assert validate_each({1: batch, 2: batch}, ExpectationSuite(name="x", expectations=[broken])) == {
        1: blind,
        2: blind,
    }


def test_what_great_expectations_writes_beside_it_is_read(edited: Callable[..., Path]) -> None:
    by_the_library = {"id": "1-2", "notes": "by hand", "description": None, "rendered_content": []}
    assert read_suite(edited(replaced(**by_the_library)), SCHEMA).expectations


def test_a_suite_for_another_schema_is_refused(derived: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    file.write_text(derived)
    other = ModelSchema(features=SCHEMA.features[:1], task=SCHEMA.task)
    with pytest.raises(InvalidSuiteError, match=r"suite.json: .* asks for the column 'temp'; there are delay, label"):
        read_suite(file, other)


def test_a_frame_of_the_log_has_no_label(derived: str, tmp_path: Path) -> None:
    """What is asked of labels is for training sets, in a file too."""
    file = tmp_path / "suite.json"
    file.write_text(derived)
    suite = read_suite(file, SCHEMA)
    batch: pd.DataFrame = flights(37, seed=1)
    assert validate(batch, suite).passed
    assert validate(batch, suite, "training_set").failures == ("label: there is no such column",)
