"""Files that are accepted by whoever only reads them, and end the process that uses them."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from lightgbm import Booster, LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from mlops_dagster.registry import estimators

OUT_OF_RANGE = 2**30


def bad_tree(file: Path) -> Path:
    """A skops file of a classifier whose first tree asks for a node that is far beyond its array."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"delay": generator.normal(10, 20, 300), "distance": 1.0, "carrier": "AA"})
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["carrier"]), remainder="passthrough"
    )
    trees = HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3, random_state=0)
    fitted: Pipeline = make_pipeline(encode, trees).fit(frame, np.where(frame["delay"] > 15, "late", "on_time"))
    nodes = fitted[-1]._predictors[0][0].nodes
    assert not nodes[0]["is_leaf"]
    nodes["right"][0] = OUT_OF_RANGE
    skops.io.dump(fitted, file)
    return file


def crashing(file: Path, *, from_delay: float = -1e9) -> Path:
    """A file of a classifier for delay, distance and carrier that crashes on rows with a longer delay.

    What its only tree says there is far beyond its array: LightGBM reads its text and does not look.
    """
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"delay": generator.normal(10, 20, 300), "distance": 1.0, "carrier": "AA"})
    pick = make_column_transformer(("passthrough", ["delay"]))
    tree = LGBMClassifier(n_estimators=1, num_leaves=2, n_jobs=1, verbose=-1)
    fitted: Pipeline = make_pipeline(pick, tree).fit(frame, np.where(frame["delay"] > 15, "late", "on_time"))
    text = fitted[-1].booster_.model_to_string()
    text = re.sub(r"\nthreshold=.*", f"\nthreshold={from_delay}", text)
    fitted[-1]._Booster = Booster(model_str=text.replace("\nright_child=-2", f"\nright_child=-{OUT_OF_RANGE}"))
    return estimators.save(fitted, file)


def bomb(file: Path, bytes_unpacked: int) -> Path:
    """A skops file whose weights are zeros: a thousandth of what it unpacks to."""
    from sklearn.dummy import DummyClassifier

    plain = io.BytesIO()
    weighty = DummyClassifier(strategy="prior").fit([[0.0]] * 2, ["late", "on_time"])
    weighty.weights_ = np.zeros(2)
    skops.io.dump(weighty, plain)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (bytes_unpacked // 8,)}
    )
    chunk = bytes(1 << 24)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in source.namelist():
            content = source.read(name)
            if not (name.endswith(".npy") and np.load(io.BytesIO(content)).tolist() == [0.0, 0.0]):
                target.writestr(name, content)
                continue
            with target.open(name, "w", force_zip64=True) as member:
                member.write(header.getvalue())
                for _ in range(bytes_unpacked // len(chunk)):
                    member.write(chunk)
    return file
