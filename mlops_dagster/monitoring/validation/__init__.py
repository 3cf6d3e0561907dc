"""Validation of batches and training sets by Great Expectations."""

import os
from importlib.util import find_spec
from pathlib import Path


def _let_pyspark_be_imported() -> None:
    """Keep the client of Spark Connect, which Great Expectations imports, from ending a process without a main file.

    It takes such a process, as a pool or an executor starts, for a doctest of its own, looks for a Spark that the
    client does not bring, and exits (pyspark-client 4.2).
    """
    pyspark = find_spec("pyspark")
    if pyspark is not None and pyspark.origin is not None and not Path(pyspark.origin).with_name("jars").is_dir():
        os.environ.setdefault("SPARK_HOME", os.devnull)


_let_pyspark_be_imported()
