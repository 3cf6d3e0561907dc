"""Columns of any kind: taken and right, or refused with words that say what to write."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames import columns
from mlops_dagster.frames.conform import LABEL, TIME, conform
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

Column: TypeAlias = tuple[pd.Series, list[Any] | None]
"""A column, and its values as the rule has them; None if there is no rule for them."""

SMALL = st.integers(-(2**31), 2**31 - 1)
NULL = st.none()


def column(values: st.SearchStrategy[Any], dtype: Any, right: Callable[[Any], Any] | None) -> st.SearchStrategy[Column]:
    """Columns of such values, some null, of that dtype."""

    def make(drawn: list[Any]) -> Column:
        series = pd.Series(drawn, name="x", dtype=dtype)
        return series, None if right is None else [None if value is None else right(value) for value in drawn]

    return (
        st.lists(values | NULL, min_size=3, max_size=8).filter(lambda all_: any(v is not None for v in all_)).map(make)
    )


def arrow(type_: pa.DataType) -> pd.ArrowDtype:
    return pd.ArrowDtype(type_)


WHOLE_DTYPES = (object, "Int64", "category", arrow(pa.int64()), "float64", "Float64", arrow(pa.float64()))
BOOL_DTYPES = (object, "boolean", "category", arrow(pa.bool_()))
TEXT_DTYPES = (
    object,
    "string",
    "string[pyarrow]",
    "category",
    arrow(pa.string()),
    arrow(pa.dictionary(pa.int8(), pa.string())),
)
DECIMALS = st.integers(-999, 999).map(lambda n: Decimal(n) / 100)
WORDS = st.text("abzé 01", min_size=1, max_size=4)
AWARE = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given a zone

NUMERIC = st.one_of(
    *(column(SMALL, dtype, float) for dtype in WHOLE_DTYPES),
    *(column(st.booleans(), dtype, float) for dtype in BOOL_DTYPES),
    *(column(st.floats(-1e6, 1e6), dtype, float) for dtype in (object, "float64", "Float64", arrow(pa.float64()))),
    *(column(DECIMALS, dtype, float) for dtype in (object, arrow(pa.decimal128(10, 2)))),
    *(column(WORDS, dtype, None) for dtype in TEXT_DTYPES),
    *(column(AWARE, dtype, None) for dtype in (object, "datetime64[ns, UTC]")),
    *(column(st.timedeltas(timedelta(0), timedelta(9)), dtype, None) for dtype in (object, "timedelta64[ns]")),
    column(st.integers(2**53, 2**60), object, None),
)
CATEGORICAL = st.one_of(
    *(column(SMALL, dtype, lambda n: str(int(n))) for dtype in WHOLE_DTYPES),
    *(column(st.booleans(), dtype, str) for dtype in BOOL_DTYPES),
    *(column(WORDS, dtype, str) for dtype in TEXT_DTYPES),
    column(st.integers(0, 99).map(Decimal), arrow(pa.decimal128(10, 0)), lambda n: str(int(n))),
    column(st.integers(0, 2**62), "Int64", str),
    *(column(st.integers(0, 99).map(lambda n: n + 0.5), dtype, None) for dtype in (object, "float64", "category")),
    *(column(AWARE, dtype, None) for dtype in (object, "datetime64[ns, UTC]")),
    column(st.dates(date(1990, 1, 1), date(2200, 1, 1)), object, None),
    column(st.lists(SMALL), object, None),
)


def as_list(values: Any) -> list[Any]:
    return [None if value is None or value != value else value for value in values.tolist()]


def follow(error: InvalidInputError, frame: pd.DataFrame) -> pd.DataFrame:
    """Do what the message says to write."""
    (code,) = re.findall(r"write `(.*?)`", error.message)
    frame = frame.copy()
    exec(code, {"pd": pd, "frame": frame})  # noqa: S102  # our own words
    return frame


def check(make: Callable[[pd.Series], Any], given_: Column) -> None:
    series, right = given_
    if right is not None:
        found = as_list(make(series))
        assert found == right
        assert [type(value) for value in found] == [type(value) for value in right]
        return
    with pytest.raises(InvalidInputError, match="'x'") as caught:
        make(series)
    error = caught.value
    for value in series.dropna().tolist():
        assert len(str(value)) < 3 or repr(value) not in error.told
    if "write `" in error.message and "to_numeric" not in error.message:
        make(follow(error, series.to_frame())["x"])
    else:
        assert re.search("declare the feature|give a number", error.message)


@given(NUMERIC)
def test_a_numeric_column_is_taken_and_right_or_told_what_to_write(given_: Column) -> None:
    check(columns.numbers, given_)


@given(CATEGORICAL)
def test_a_categorical_column_is_taken_and_right_or_told_what_to_write(given_: Column) -> None:
    check(columns.texts, given_)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", object, "category", arrow(pa.int64())])
def test_integers_are_taken_as_long_as_a_float_tells_them_apart(dtype: Any) -> None:
    assert columns.numbers(pd.Series([2**53 - 1, 1], dtype=dtype, name="id")).tolist() == [2.0**53 - 1, 1.0]
    with pytest.raises(InvalidInputError, match=r"1 of 2 values of 'id' are integers from 2\*\*53 on"):
        columns.numbers(pd.Series([2**53, 1], dtype=dtype, name="id"))


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IN_UTC = pd.Timestamp(NOON)


@pytest.mark.parametrize(
    "times",
    [
        pd.Series([NOON]),
        pd.Series([NOON], dtype=object),
        pd.Series([IN_UTC.tz_convert("America/New_York")]),
        pd.Series([NOON], dtype=arrow(pa.timestamp("us", tz="Asia/Tokyo"))),
    ],
)
def test_times_of_any_zone_are_one_time(times: pd.Series) -> None:
    found = columns.times(times.rename("event_time"))
    assert (str(found.dtype.tz), found.tolist()) == ("UTC", [IN_UTC])  # type: ignore[union-attr]  # a dtype with a zone


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (pd.Series([NOON.replace(tzinfo=None)]), "naive times"),
        (pd.Series([NOON.replace(tzinfo=None)], dtype=arrow(pa.timestamp("us"))), "naive times"),
        (pd.Series([NOON, NOON.replace(tzinfo=None)], dtype=object), "1 of 2 values of 'event_time' are no times with"),
        (pd.Series(["2026-03-01T12:00:00Z"]), "such as '2026-03-01T12:00:00Z'"),
        (pd.Series([1_772_366_400]), "such as 1772366400"),
        (pd.Series([NOON.date()]), "no times with a zone"),
        (pd.Series([NOON.date()], dtype=arrow(pa.date32())), "no times with a zone"),
        (pd.Series(pd.period_range("2026-03-01", periods=1, freq="D")), "no times with a zone"),
    ],
)
def test_what_is_no_time_with_a_zone_is_refused_and_what_is_to_be_written_is_taken(times: pd.Series, says: str) -> None:
    times = times.rename("event_time")
    with pytest.raises(InvalidInputError, match=re.escape(says)) as caught:
        columns.times(times)
    found = columns.times(follow(caught.value, times.to_frame())["event_time"])
    assert set(found) <= {IN_UTC, IN_UTC.normalize()}


def test_missing_times_are_counted() -> None:
    with pytest.raises(InvalidInputError, match="'event_time' is missing in 2 of 3 rows"):
        columns.times(pd.Series([None, pd.NaT, NOON], name="event_time"))


class Colour(str, Enum):  # noqa: UP042  # whose `str` is another text than its value
    RED = "red"


def test_categories_that_are_one_category_become_one() -> None:
    mixed = pd.Series(
        [1, 1.0, np.int8(1), Decimal("1.0"), "1", True, np.True_, Colour.RED, np.str_("red")], dtype=object
    )
    assert columns.texts(mixed).tolist() == ["1"] * 5 + ["True"] * 2 + ["red"] * 2


SCHEMA = ModelSchema(
    features=(Feature(name="0", kind="numeric"), Feature(name="gate", kind="categorical")),
    task=Classification(classes=("a", "b")),
)


def test_every_column_that_is_wrong_is_named_at_once_without_values_for_others() -> None:
    frame = pd.DataFrame({"0": ["Ada"], "gate": [0.25], LABEL: [date(2026, 1, 1)], TIME: [NOON.replace(tzinfo=None)]})
    with pytest.raises(InvalidInputError) as caught:
        conform(frame, SCHEMA, LABEL, TIME)
    assert all(f"'{name}'" in caught.value.told for name in ("0", "gate", LABEL, TIME))
    assert "Ada" in caught.value.message
    assert not re.search(r"Ada|0\.25|2026", caught.value.told)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame({0: [1.0], "gate": ["a"]}), "no column '0', but 0, gate; write `frame.columns = "),
        (pd.DataFrame({"0": [1.0]}), "no column 'gate', but 0; add it"),
        (pd.DataFrame([[1.0, "a", "b"]], columns=["0", "gate", "gate"]), "2 columns are called 'gate'; leave one"),
    ],
)
def test_columns_that_are_not_there_once_are_named(frame: pd.DataFrame, says: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(says)) as caught:
        conform(frame, SCHEMA)
    if "write" in says:
        assert conform(follow(caught.value, frame), SCHEMA)["0"].tolist() == [1.0]
