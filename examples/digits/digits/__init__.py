"""Handwritten digits, read by a model that mlops_dagster looks after."""

from datetime import date
from typing import Final

SINCE: Final = date(2026, 1, 31)
"""The first day, unless MLOPS_PARTITIONS_START names another."""
