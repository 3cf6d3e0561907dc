"""Files that are accepted by whoever only reads them, and end the process that uses them."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

OUT_OF_RANGE = 2**30


def bad_tree(file: Path, *, from_delay: float = -1e9) -> Path:
    """A skops file of a classifier for delay, distance and carrier that crashes on rows with a longer delay.

    Its first tree asks for the delay, and then for a node that is far beyond its array.
    """
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"delay": generator.normal(10, 20, 300), "distance": 1.0, "carrier": "AA"})
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["carrier"]), remainder="passthrough"
    )
    trees = HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3, random_state=0)
    fitted: Pipeline = make_pipeline(encode, trees).fit(frame, np.where(frame["delay"] > 15, "late", "on_time"))
    nodes = fitted[-1]._predictors[0][0].nodes
    assert not nodes[0]["is_leaf"]
    assert nodes[0]["feature_idx"] == 1, "the delay, behind the carrier"
    nodes["num_threshold"][0] = from_delay
    nodes["right"][0] = OUT_OF_RANGE
    skops.io.dump(fitted, file)
    return file


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
