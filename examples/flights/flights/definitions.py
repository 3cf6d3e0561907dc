"""The entry point of the code location."""

from datetime import date
from pathlib import Path

import dagster as dg

from mlops_dagster.components import load_from_defs_folder


@dg.definitions
def defs() -> dg.Definitions:
    return load_from_defs_folder(path_within_project=Path(__file__).parent, since=date(2013, 3, 1))
