"""The type of a model, independent of the library that made it."""

from typing import Any, TypeAlias

Estimator: TypeAlias = Any
"""A fitted estimator of any library; only the task of its version knows its interface, and has checked it."""
