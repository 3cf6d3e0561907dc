"""Estimators as files of kinds that run no code when they are loaded: skops and ONNX."""

from mlops_dagster.registry.estimators.estimator import Estimator
from mlops_dagster.registry.estimators.loading import load
from mlops_dagster.registry.estimators.skops_file import TRUSTED, save

__all__ = ["TRUSTED", "Estimator", "load", "save"]
