"""Estimators as files of formats that run no code when loaded: skops and ONNX."""

from mlops_dagster.registry.estimators.acceptance import check_unfitted
from mlops_dagster.registry.estimators.estimator import Estimator
from mlops_dagster.registry.estimators.loading import load
from mlops_dagster.registry.estimators.skops_file import save
from mlops_dagster.registry.estimators.trusted import TRUSTED

__all__ = ["TRUSTED", "Estimator", "check_unfitted", "load", "save"]
