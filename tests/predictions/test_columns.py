"""The columns of the log hold what the records held, whatever kinds of values a feature has had before."""

import math

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.predictions.encoded import encode_prediction
from mlops_dagster.predictions.log import columns
from tests.support.predictions.records import a_record

values = st.one_of(st.none(), st.floats(), st.integers(-(2**60), 2**60), st.booleans(), st.text("xé7", max_size=3))
rows = st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=1, max_size=6)
existing = st.dictionaries(st.sampled_from(["feature_a", "feature_b"]), st.sampled_from([pa.float64(), pa.string()]))


@given(rows, existing)
def test_every_value_is_in_the_one_column_of_its_kind(features, log_has):
    entries = [orjson.loads(encode_prediction(a_record(0, features=each))) for each in features]
    table = columns.prediction_table(
        [(number, number, entry) for number, entry in enumerate(entries)], log_has
    ).to_pydict()
    for name in "abc":
        for row, sent in enumerate(features):
            value = sent.get(name)
            found = {
                suffix: table.get(f"feature_{name}{suffix}", [None] * len(features))[row]
                for suffix in ("", "__text", "__number")
            }
            kept = [each for each in found.values() if each is not None]
            if value is None or (isinstance(value, float) and math.isnan(value)):
                assert kept == []
            else:
                assert kept == [value if isinstance(value, str) else float(value)]
    for name, kind in log_has.items():
        assert {type(each) for each in table.get(name, [None])} <= {type(None), str if kind == pa.string() else float}
