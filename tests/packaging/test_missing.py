"""A model that needs an extra which is not installed says which."""

import sys
from pathlib import Path

import pytest
from xgboost import XGBClassifier

from mlops_dagster.errors import MissingExtraError
from mlops_dagster.registry.estimators import load, save


def test_a_booster_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(XGBClassifier(n_estimators=1).fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.skops")
    for module in ("xgboost", "xgboost.core", "xgboost.sklearn"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'model.skops needs xgboost.*`pip install "mlops-dagster\[xgboost\]"`'):
        load(file)


def test_an_onnx_file_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(b"...")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        MissingExtraError, match=r'model.onnx needs onnxruntime, .*`pip install "mlops-dagster\[onnx\]"`'
    ):
        load(tmp_path / "model.onnx")
