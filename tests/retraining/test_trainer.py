"""A trainer's module and its rows: what is wrong is told before anything is fitted, with what to write."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_dagster.errors import InvalidInputError, TrainingDataError
from mlops_dagster.retraining.dry_run import check_estimator
from mlops_dagster.retraining.requirements import check_requirements, unjudged_truths
from mlops_dagster.retraining.trainer import (
    batch_rows,
    load_batch_source,
    load_trainer,
    read_batch,
    read_training_set,
)
from mlops_dagster.schema import Feature, ModelSchema

END = datetime(2026, 3, 1, tzinfo=UTC)
START = END - timedelta(days=10)
SCHEMA = ModelSchema.model_validate(
    {
        "features": [Feature(name="amount", kind="numeric"), Feature(name="shop", kind="categorical")],
        "task": {"classes": (0, 1)},
    }
)


def rows(count: int = 240) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": np.arange(count) % 7,
            "shop": pd.Categorical(np.arange(count) % 3),
            "label": np.arange(count) % 2 == 1,
            "event_time": [START + timedelta(hours=each) for each in range(count)],
            "region": ["north", "south"] * (count // 2),
        }
    ).assign(label=lambda frame: frame["label"].astype(int))


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_trainer")
    module.SCHEMA = SCHEMA  # type: ignore[attr-defined]  # as a team's module has it
    module.training_set = lambda start, end: rows()  # type: ignore[attr-defined]
    module.batch = lambda start, end: rows().drop(columns="label")  # type: ignore[attr-defined]
    module.estimator = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_trainer", module)
    return module


def test_rows_are_in_one_form_whatever_they_came_in(trainer: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read_training_set("a_trainer", START, END)
    assert plain["label"].tolist()[:2] == ["0", "1"]
    assert plain["shop"].tolist()[:3] == ["0", "1", "2"]
    assert plain["amount"].dtype == np.float64
    odd = rows().assign(
        amount=lambda frame: [Decimal(each) for each in frame["amount"].tolist()],
        shop=lambda frame: frame["shop"].astype(int).astype(pd.ArrowDtype(pa.int64())),
        label=lambda frame: frame["label"].astype("float64"),
        event_time=lambda frame: frame["event_time"].dt.tz_convert("Asia/Tokyo"),
    )
    monkeypatch.setattr(trainer, "training_set", lambda start, end: odd.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(read_training_set("a_trainer", START, END), plain)
    batch = batch_rows(read_batch("a_trainer", START, END), SCHEMA, START, END)
    pd.testing.assert_frame_equal(batch, plain.drop(columns="label"))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda frame: frame.assign(event_time=frame["event_time"].dt.tz_localize(None)), "naive times"),
        (lambda frame: frame.assign(event_time=frame["event_time"].where(frame.index > 4)), "missing in 5 of 240"),
        (
            lambda frame: frame.assign(event_time=frame["event_time"].where(frame.index > 4, END)),
            r"5 of 240 rows have an 'event_time' outside of \[2026-02-19 00:00, 2026-03-01 00:00\).*such as 2026-03-01",
        ),
        (
            lambda frame: frame.assign(
                event_time=[datetime(9999, 1, 1, tzinfo=UTC), *frame["event_time"].tolist()[1:]]
            ),
            r"1 of 240 rows .* such as 9999-01-01 00:00; give the rows of that window only",
        ),
        (lambda frame: frame.drop(columns="event_time"), "no column 'event_time', but amount, shop, label, region"),
        (lambda frame: frame.assign(label=frame["label"] + 0.5), "of 'label' are neither texts, whole numbers nor"),
        (lambda frame: frame.assign(amount=np.inf), "240 of 240 values of 'amount' are infinite; give null"),
        (lambda frame: pa.Table.from_pandas(frame), r"it gave a pyarrow.Table, not a DataFrame.*\.to_pandas\(\)"),
        (lambda frame: None, "it gave a NoneType, not a DataFrame"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_count_and_example(
    broken: Callable[[pd.DataFrame], object], says: str, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "training_set", lambda start, end: broken(rows()))
    with pytest.raises(TrainingDataError, match=f"`training_set` of a_trainer: .*{says}"):
        read_training_set("a_trainer", START, END)
    if "label" not in says:
        monkeypatch.setattr(trainer, "batch", lambda start, end: broken(rows()))
        if "infinite" not in says and "no column" not in says:  # which a row to score may have, and may do without
            with pytest.raises(InvalidInputError, match=says):
                batch_rows(read_batch("a_trainer", START, END), SCHEMA, START, END)


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(label=frame["label"].astype(str), shop=frame["shop"].astype(str))


@pytest.mark.parametrize(
    ("change", "attributes", "says"),
    [
        (lambda frame: frame.assign(label="0"), (), "none of the 240 rows has the label '1', so a version could never"),
        (
            lambda frame: frame.assign(label=["0"] * 120 + ["1"] * 120),
            (),
            "all 120 rows before 2026-02-24 have the label '0', and nothing can be fitted on one class",
        ),
        (lambda frame: frame.assign(shop=None), (), "'shop' is null in all 240 rows"),
        (lambda frame: frame, ("country",), "names country; the training set has amount, shop, label"),
        (lambda frame: frame.assign(region="north"), ("region",), "names region, of whose 1 groups 1 has the 30"),
        (
            lambda frame: frame.assign(region=["north"] * 235 + ["south"] * 5),
            ("region",),
            "names region, of whose 2 groups 1 has the 30 evaluated rows",
        ),
    ],
)
def test_a_class_or_group_that_is_missing_is_told_before_anything_is_fitted(
    change: Callable[[pd.DataFrame], pd.DataFrame], attributes: tuple[str, ...], says: str
) -> None:
    frame = change(texts(rows()))
    with pytest.raises(TrainingDataError, match=says):
        check_requirements(SCHEMA, frame[:120], frame[120:], START + timedelta(days=5), attributes)


def test_what_the_evaluation_says_nothing_of_is_named_and_an_empty_band_is_no_group() -> None:
    frame = texts(rows()).assign(label=["0", "1"] * 60 + ["0"] * 120)
    frame["band"] = pd.cut(frame["amount"], [-1, 3, 9, 99])
    check_requirements(SCHEMA, frame[:120], frame[120:], START + timedelta(days=5), ("band", "region"))
    assert unjudged_truths(SCHEMA, frame[:120], frame[120:]) == ("in none of the evaluated rows: '1'",)
    (only_late,) = unjudged_truths(SCHEMA, frame[120:], frame[:120])
    assert "never predicted" in only_late


def a_module(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(folder))
    name = f"trainer_{abs(hash((text, str(folder))))}"
    (folder / f"{name}.py").write_text(text)
    return name


GOOD = """
from sklearn.linear_model import LogisticRegression
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
SCHEMA = ModelSchema(features=(Feature(name="a", kind="numeric"),), task=Classification(classes=(0, 1)))
def training_set(start, end): ...
def estimator(): return LogisticRegression()
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("(0, 1)", "(0, 0.5)"), "cannot be imported: ValidationError: classes: .*0.5 is a float"),
        (GOOD.replace("def estimator(): ", "def estimator() "), "cannot be imported: SyntaxError"),
        (GOOD + "pd.read_csv('x')", "cannot be imported: NameError: name 'pd' is not defined"),
        (GOOD + "import no_such_package.at_all", "imports 'no_such_package', which is not installed here"),
        (GOOD.replace("(start, end)", "(start)"), r"training_set of .* can be called as training_set\(start, end\)"),
        (GOOD.replace("estimator()", "estimator(depth)"), r"write `def estimator\(\):`"),
        (GOOD.replace("def training_set", "def training_sets"), "lacks training_set"),
        (GOOD + "SCHEMA = {}", "SCHEMA of the trainer .* is a dict; write SCHEMA = ModelSchema"),
        (GOOD.replace("return Log", "return log"), "`estimator` of .* raised NameError"),
        (GOOD.replace("linear_model import LogisticRegression", "svm import LinearSVC as LogisticRegression"), ""),
    ],
)
def test_a_module_is_held_against_its_protocol(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_module(tmp_path, text, monkeypatch)
    says = says or "LinearSVC has no predict_proba.*CalibratedClassifierCV"
    with pytest.raises(InvalidInputError, match=says):
        check_estimator(name, ())


def test_a_sound_module_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = a_module(tmp_path, GOOD, monkeypatch)
    assert check_estimator(name, ()).SCHEMA.task.truths == ("0", "1")
    with pytest.raises(InvalidInputError, match="lacks batch"):
        load_batch_source(name)
    with pytest.raises(InvalidInputError, match="no module 'no_such_trainer'"):
        load_trainer("no_such_trainer")
