"""The closed loop of production machine learning, on Dagster."""

from importlib.metadata import version

__version__ = version("mlops-dagster")
