"""Suites as JSON in Great Expectations' own format: written for people to edit, and read again."""

import functools
import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from mlops_dagster.errors import InvalidSuiteError
from mlops_dagster.extras import require
from mlops_dagster.monitoring.validation.expectations.evaluable import check_evaluable
from mlops_dagster.monitoring.validation.expectations.suite import NOBODY_SHARES, ValidationPolicy, suite_for
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

_KINDS = ("hour", "day", "training_set")
_META = ("batches", "min_batch_rows", "rows_per_observation")
_DOCUMENT = {"name", "expectations", "id", "meta", "notes", "suite_parameters"}
_OF_DATABASES = {
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
}
_FOR_PEOPLE = {"id", "notes", "description", "expectation_context", "rendered_content"}
"""Keys that Great Expectations adds to an expectation and that decide nothing."""


def suite_of(
    schema: ModelSchema,
    baseline: Baseline | None,
    policy: ValidationPolicy,
    rows_per_observation: Mapping[str, float] = NOBODY_SHARES,
) -> "ExpectationSuite":
    """Return the suite in the policy's file, unchanged, if the policy names a file; else the derived suite.

    Raises InvalidSuiteError.
    """
    if policy.suite is None:
        return suite_for(schema, baseline, policy=policy, rows_per_observation=rows_per_observation)
    return read_suite(policy.suite, schema)


def suite_to_json(suite: "ExpectationSuite") -> str:
    """Return the suite as JSON for `read_suite`, without the policy's rules: its limits no longer follow the policy."""
    expectations = []
    for each in suite.expectations:
        configuration = each.configuration
        entry = {"type": configuration.type, "kwargs": dict(configuration.kwargs), "severity": configuration.severity}
        meta = {name: value for name, value in (configuration.meta or {}).items() if name != "rule"}
        expectations.append({**entry, "meta": meta} if meta else entry)
    return json.dumps({"name": suite.name, "expectations": expectations}, indent=2) + "\n"


def check_suite_file(path: Path) -> list[dict[str, object]]:
    """Return the expectations of the file, unchanged; raises InvalidSuiteError if the file is not a suite at all.

    The check is quick: `read_suite` checks their arguments and columns.
    """
    return _entries(suite_document(path), str(path))


def suite_document(path: Path) -> object:
    """Return the JSON of a suite's file; raises InvalidSuiteError if it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number, parse_float=_finite)
    except OSError as error:
        raise InvalidSuiteError(f"cannot read the suite {str(path)!r} ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InvalidSuiteError(f"the suite {str(path)!r} is not JSON: {error}") from error


def read_suite(path: Path, schema: ModelSchema) -> "ExpectationSuite":
    """Read the suite in the file; raises InvalidSuiteError as `parse_suite` does."""
    return parse_suite(suite_document(path), schema, str(path))


def parse_suite(document: object, schema: ModelSchema, file: str) -> "ExpectationSuite":
    """Return the suite in a document; `file` is the name of its file, for messages.

    Raises InvalidSuiteError for an unknown expectation, argument or column, and for an expectation that can never be
    evaluated: each is evaluated once, on rows made up from the schema.
    """
    require("monitoring", "validation")
    from great_expectations import ExpectationSuite

    entries = _entries(document, file)
    expectations = [_expectation(file, number, entry, schema) for number, entry in enumerate(entries, 1)]
    assert isinstance(document, dict)  # it has entries
    suite = ExpectationSuite(name=document["name"], expectations=expectations)
    check_evaluable(suite, schema, f"the suite {file!r}")
    return suite


def _entries(document: object, file: str) -> list[dict[str, object]]:
    match document:
        case {"name": str(), "expectations": [_, *_] as expectations, **others}:
            if unknown := sorted({str(name) for name in others} - _DOCUMENT):
                raise InvalidSuiteError(f"the suite {file!r} has {unknown}; it may have {sorted(_DOCUMENT)}")
            return [_entry(file, number, each) for number, each in enumerate(expectations, 1)]
        case _:
            raise InvalidSuiteError(
                f"the suite {file!r} needs a `name` and one or more `expectations`; "
                "`mlops validation suite MODEL` writes one"
            )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON; leave out a limit that is not set")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _entry(file: str, number: int, entry: object) -> dict[str, object]:
    match entry:
        case {"type": str() as kind, "kwargs": dict() as arguments, **others}:
            meta = others.get("meta") or {}
        case _:
            raise InvalidSuiteError(f"{file}: expectation {number} needs a `type` and `kwargs`, got {entry!r:.200}")
    where = f"{file}: expectation {number} ({kind})"
    if unknown := sorted({str(name) for name in others} - {"meta", "severity"} - _FOR_PEOPLE):
        raise InvalidSuiteError(
            f"{where} has {unknown}; an expectation has a `type`, `kwargs` with arguments such as `mostly`, "
            "and may have `meta` and `severity`"
        )
    if not (_expectations() / f"{kind}.py").is_file():
        raise InvalidSuiteError(f"{where} is not found in Great Expectations; mind the spelling")
    if kind in _OF_DATABASES:
        raise InvalidSuiteError(f"{where} asks a database, and a batch is none")
    if parameters := sorted(name for name, value in arguments.items() if _is_parameter(value)):
        raise InvalidSuiteError(f"{where} has a $PARAMETER for {parameters}, which is never given; write the value")
    if not isinstance(meta, dict):
        raise InvalidSuiteError(f"{where} has a `meta` that is not an object")
    if unknown := sorted({str(name) for name in meta} - set(_META)):
        raise InvalidSuiteError(f"{where} has {unknown} in its `meta`; it may have {list(_META)}")
    batches, least, rows_per_observation = (
        meta.get("batches", _KINDS),
        meta.get("min_batch_rows", 0),
        meta.get("rows_per_observation", 1),
    )
    if not isinstance(batches, list | tuple) or not batches or not all(each in _KINDS for each in batches):
        raise InvalidSuiteError(f"{where} has {batches!r} for `batches`; a list of {_KINDS}")
    if not _is_number(least) or not least >= 0:
        raise InvalidSuiteError(f"{where} has {least!r} for `min_batch_rows`; a number from 0 on")
    if not _is_number(rows_per_observation) or not rows_per_observation >= 1:
        raise InvalidSuiteError(f"{where} has {rows_per_observation!r} for `rows_per_observation`; a number from 1 on")
    if "label" in _columns(arguments) and list(batches) != ["training_set"]:
        only = '"meta": {"batches": ["training_set"]}'
        raise InvalidSuiteError(f"{where} asks for `label`, which only training sets have: give it {only}")
    return {"type": kind, "kwargs": arguments, "meta": meta, **{k: v for k, v in others.items() if k == "severity"}}


def _expectation(file: str, number: int, entry: dict[str, object], schema: ModelSchema) -> "Expectation":
    import great_expectations.expectations.core  # noqa: F401  # registers them
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    where = f"{file}: expectation {number} ({entry['type']})"
    try:
        found = ExpectationConfiguration(**entry).to_domain_obj()  # type: ignore[arg-type]  # checked by `_entry`
    except Exception as error:  # Great Expectations raises errors of many kinds
        raise InvalidSuiteError(f"{where} is not as Great Expectations has it: {error}") from error
    known = {*schema.names, "label"}
    for column in _columns(found.configuration.kwargs):
        if column not in known:
            raise InvalidSuiteError(f"{where} asks for the column {column!r}; there are {', '.join(sorted(known))}")
    return found


@functools.cache
def _expectations() -> Path:
    """Return the folder where Great Expectations has a file for each expectation, found without importing it."""
    require("monitoring", "validation")
    found = importlib.util.find_spec("great_expectations")
    assert found is not None  # it was required
    assert found.origin is not None  # the file of a package
    return Path(found.origin).parent / "expectations" / "core"


def _is_parameter(value: object) -> bool:
    return isinstance(value, dict) and "$PARAMETER" in value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _columns(arguments: Mapping[str, Any]) -> list[str]:
    named = [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
    sets = (arguments.get(name) for name in ("column_set", "column_list"))
    several = [columns for columns in sets if isinstance(columns, list | tuple | set)]
    return [str(column) for column in (*named, *(column for columns in several for column in columns))]
