"""A team's table is played as it is, or refused by a message that says what to write."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.rehearsal.traffic.files import read_table
from mlops_dagster.rehearsal.traffic.history import read_history
from mlops_dagster.rehearsal.traffic.traffic import hours
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(Feature(name="amount", kind="numeric"), Feature(name="country", kind="categorical")),
    task=Classification(classes=("0", "1")),
)
TIMES = pd.to_datetime(["2026-03-01T06:00Z", "2026-03-01T07:00Z", "2026-03-04T09:00Z"])


def requests(**columns: object) -> pd.DataFrame:
    """Three requests; a column that is None is not there."""
    whole = {
        "prediction_id": ["a", "b", "c"],
        "event_time": TIMES,
        "amount": [1.5, np.nan, 3.0],
        "country": ["AT", None, "NA"],
        "label": ["0", "1", None],
        **columns,
    }
    return pd.DataFrame({name: values for name, values in whole.items() if values is not None})


def test_a_history_is_in_order_of_time_and_says_what_it_lacks() -> None:
    history = read_history(requests().iloc[[2, 0, 1]].assign(clerk="Ada"), None, SCHEMA)
    assert history.frame["prediction_id"].tolist() == ["a", "b", "c"]
    assert history.frame["known_at"].tolist()[:2] == TIMES.tolist()[:2], "without known_at, at once"
    assert history.frame["known_at"].isna().tolist() == [False, False, True]
    assert history.frame["country"].tolist() == ["AT", None, "NA"]
    assert [note.split(" ")[0] for note in history.notes] == ["columns", "2", "1", "1"]
    assert "clerk" in history.notes[0]
    assert "2 requests stood behind a later one" in history.notes[1]
    assert "longest of 3.1 days until 2026-03-04 09:00 UTC" in history.notes[2]
    assert "1 of 3 requests have no label" in history.notes[3]


def test_labels_in_a_table_of_their_own_find_their_request() -> None:
    labels = pd.DataFrame({"prediction_id": ["c", "zz", "a"], "label": [1, 0, 0], "known_at": [TIMES[2]] * 3})
    history = read_history(requests(label=None), labels, SCHEMA)
    assert history.frame["label"].tolist() == ["0", None, "1"]
    assert history.frame["known_at"].tolist()[::2] == [TIMES[2]] * 2
    assert "1 label of no request of this history" in " ".join(history.notes)


def test_a_history_without_labels_or_with_fewer_classes_says_what_cannot_be_known() -> None:
    history = read_history(requests(label=None), None, SCHEMA)
    assert "nothing is known of accuracy" in history.notes[-1]
    first = hours(history, SCHEMA, TIMES[0].to_pydatetime(), TIMES[1].to_pydatetime())[0]
    assert [(each.label, each.known_at) for each in first.requests] == [(None, None)], "none is waited for"
    assert "no label of the history is '1'" in read_history(requests(label=["0"] * 3), None, SCHEMA).notes[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": None}, "the columns ['amount'] are missing among"),
        ({"event_time": None}, "the columns ['event_time'] are missing"),
        ({"event_time": TIMES.tz_localize(None)}, "'event_time' has times without a time zone"),
        ({"event_time": ["2026-03-01T06:00:00"] * 3}, "3 times without a time zone, such as '2026-03-01T06:00:00'"),
        ({"event_time": [1772344800] * 3}, "'event_time' is int64; write ISO 8601 times with a zone"),
        ({"event_time": ["yesterday Z"] * 3}, "not an ISO 8601 time"),
        ({"event_time": [*TIMES[:2], pd.NaT]}, "'event_time' is missing in 1 of 3 rows"),
        ({"amount": [1.0, "n/a", 2.0]}, "1 value of 'amount' cannot be read as numbers, such as 'n/a'"),
        ({"amount": [1.0, np.inf, 2.0]}, "1 value of 'amount' may not be infinite"),
        ({"country": ["AT", 1.5, "DE"]}, "1 value of 'country' cannot be taken as text, such as a float 1.5"),
        ({"label": ["0", "fraud", "1"]}, "1 label outside of the classes '0', '1', such as 'fraud'"),
        (
            {"prediction_id": ["a", "b", "a"]},
            "1 row with a prediction_id that an earlier row has, the first of them 'a'",
        ),
        ({"known_at": TIMES - pd.Timedelta(hours=1)}, "labels known before the request came"),
    ],
)
def test_a_table_that_cannot_be_played_is_refused_by_the_name_of_the_column(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_history(requests(**change), None, SCHEMA)
    assert message in str(refused.value)


def test_tables_that_do_not_go_together_are_refused() -> None:
    own = pd.DataFrame({"prediction_id": ["x"], "label": ["0"]})
    for given_requests, labels, message in (
        (requests(), own, "leave one out"),
        (requests(label=None), own, "none of 1 label has a prediction_id of a request"),
        (requests(label=None, prediction_id=None), own, "requests: the columns ['prediction_id'] are missing"),
        (requests(label=None), own.rename(columns={"prediction_id": "id"}), "is `id` your prediction_id? Then rename"),
        (requests(label=None), pd.concat([own, own]), "1 row with a prediction_id that an earlier row has"),
        (requests().iloc[:0], None, "there is no row"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            read_history(given_requests, labels, SCHEMA)
        assert message in str(refused.value)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1) | st.none(),
            st.sampled_from(["0", "1", None]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_csv_file_says_what_the_parquet_file_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | None, str | None, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    amounts, countries, labels = zip(*rows, strict=True)
    times = [TIMES[0] + pd.Timedelta(minutes=number) for number in range(len(rows))]
    frame = pd.DataFrame({"event_time": times, "amount": pd.Series(amounts, dtype="float64")})
    frame = frame.assign(country=pd.Series(countries, dtype=object), label=pd.Series(labels, dtype=object))
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.parquet")
    one, other = (read_history(read_table(folder / f"a.{kind}", SCHEMA), None, SCHEMA) for kind in ("csv", "parquet"))
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.notes == other.notes


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no table")
    for name, message in (
        ("a.parquet", "cannot be read as a table"),
        ("a.xlsx", "neither .parquet nor .csv"),
        ("b.csv", "No such file"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            read_table(tmp_path / name, SCHEMA)
        assert message in str(refused.value)
