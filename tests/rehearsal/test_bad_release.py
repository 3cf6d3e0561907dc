"""Which features are spoilt is decided by what they mean to the model, the same each time."""

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.rehearsal.releases.bad_release import BadRelease, Predict, choose_bad_releases
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(
        Feature(name="size", kind="numeric"),
        Feature(name="noise", kind="numeric"),
        Feature(name="shop", kind="categorical"),
        Feature(name="colour", kind="categorical"),
    ),
    task=Classification(classes=("no", "yes")),
)


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "size": rng.uniform(0, 10, rows),
            "noise": rng.normal(size=rows),
            "shop": rng.choice(["a", "b", "c"], rows),
            "colour": rng.choice(["red", "blue"], rows),
        }
    )
    return frame.assign(label=by_size(frame))


def by_size(frame: pd.DataFrame) -> list[str]:
    return list(np.where(frame["size"] > 3, "yes", "no"))


def by_shop(frame: pd.DataFrame) -> list[str]:
    return list(np.where(frame["shop"] == "b", "yes", "no"))


def threshold(rows: pd.DataFrame) -> Predict:
    """A model of the size alone: the least of the rows that say yes is its limit."""
    limit = rows["size"][rows["label"] == "yes"].min()
    return lambda frame: list(np.where(frame["size"] >= limit, "yes", "no"))


def shops(rows: pd.DataFrame) -> Predict:
    """A model of the shop alone."""
    usual = rows.groupby("shop")["label"].agg(lambda labels: labels.mode()[0])
    return lambda frame: list(frame["shop"].map(usual))


def test_the_number_that_decides_is_the_one_in_other_units() -> None:
    rows = table()
    units, codes, labels = choose_bad_releases(SCHEMA, rows, rows, threshold)
    # Fitted in hundredths its limit is 300, over which nothing is; in hundreds it is 0.03, over which all are: only the
    # 30 % that are under 3 are wrong then.
    assert (units.kind, units.features, units.factor) == ("units", ("size",), 100.0)
    assert units.expected_loss == np.mean([label == "yes" for label in rows["label"]])
    assert (codes.kind, codes.expected_loss) == ("codes", 0.0)
    # The least of so many sizes is some 0.03: with labels in random order all are over the limit.
    assert labels.kind == "labels"
    assert labels.expected_loss == pytest.approx(np.mean([label == "no" for label in rows["label"]]), abs=0.01)
    assert units == next(choose_bad_releases(SCHEMA, table(), table(), threshold))


def test_codes_that_decide_are_mixed_up_and_numbers_that_do_not_are_all_in_other_units() -> None:
    rows = table().assign(label=lambda frame: by_shop(frame))
    units, codes, _labels = choose_bad_releases(SCHEMA, rows, rows, shops)
    assert units.features == ("size", "noise")
    assert codes.features == ("shop",)
    taken_for_b = codes.spoil(rows)["shop"][rows["shop"] == "b"].iloc[0]  # by a model of the spoilt rows
    assert codes.expected_loss == np.mean(rows["shop"].isin(["b", taken_for_b]))


def test_a_release_whose_own_evaluation_shows_the_harm_is_not_the_worst() -> None:
    """A model that cannot use a number in hundredths says so itself; one that can is found out by traffic only."""

    def blind_to_small(rows: pd.DataFrame) -> Predict:
        return threshold(rows) if rows["size"].max() > 1 else lambda frame: ["no"] * len(frame)

    units = next(choose_bad_releases(SCHEMA, table(), table(), blind_to_small))
    assert units.factor == 100.0


def test_what_is_spoilt_and_what_is_not() -> None:
    rows = table(50).assign(shop=lambda frame: frame["shop"].where(frame.index > 5))
    before = rows.copy()
    hundredfold = BadRelease("units", ("size",), 100).spoil(rows)
    assert np.allclose(hundredfold["size"], rows["size"] * 100)
    mixed = BadRelease("codes", ("shop",)).spoil(rows)["shop"]
    assert mixed.isna().tolist() == rows["shop"].isna().tolist()
    assert (mixed.dropna() != rows["shop"].dropna()).all()
    assert set(mixed.dropna()) == {"a", "b", "c"}
    shuffled = BadRelease("labels").spoil(rows)
    assert sorted(shuffled["label"]) == sorted(rows["label"])
    assert shuffled["label"].tolist() != rows["label"].tolist()
    pd.testing.assert_frame_equal(rows, before)


def test_a_model_of_numbers_alone_has_no_codes() -> None:
    schema = ModelSchema(features=SCHEMA.features[:1], task=SCHEMA.task)
    assert [each.kind for each in choose_bad_releases(schema, table(), table(), threshold)] == ["units", "labels"]
