"""Which features are spoilt is decided by what they mean to the model, the same each time."""

import numpy as np
import pandas as pd

from mlops_dagster.rehearsal.bad_release import BadRelease, choose_bad_releases
from mlops_dagster.schema import Feature, ModelSchema

SCHEMA = ModelSchema(
    features=(
        Feature(name="size", kind="numeric"),
        Feature(name="noise", kind="numeric"),
        Feature(name="shop", kind="categorical"),
        Feature(name="colour", kind="categorical"),
    ),
    classes=("no", "yes"),
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


def test_the_number_that_decides_is_the_one_in_other_units() -> None:
    rows = table()
    units, codes, labels = choose_bad_releases(SCHEMA, rows, by_size)
    # 70 % are over 3. A hundredth of any is under it: these are wrong. A hundredfold is over it: only the others are.
    assert (units.kind, units.features, units.factor) == ("units", ("size",), 100.0)
    assert units.expected_loss == np.mean([label == "yes" for label in rows["label"]])
    assert (codes.kind, codes.expected_loss) == ("codes", 0.0)
    assert labels.expected_loss == 1 - units.expected_loss
    assert units == next(choose_bad_releases(SCHEMA, table(), by_size))


def test_codes_that_decide_are_mixed_up_and_numbers_that_do_not_are_all_in_other_units() -> None:
    rows = table().assign(label=lambda frame: by_shop(frame))
    units, codes, _labels = choose_bad_releases(SCHEMA, rows, by_shop)
    assert units.features == ("size", "noise")
    assert codes.features == ("shop",)
    assert codes.expected_loss is not None
    assert codes.expected_loss > 0.5  # those of b, and those that are taken for b


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
    schema = ModelSchema(features=SCHEMA.features[:1], classes=SCHEMA.classes)
    assert [each.kind for each in choose_bad_releases(schema, table(), by_size)] == ["units", "labels"]
