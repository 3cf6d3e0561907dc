"""Choice of the engine by its address."""

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.predictions.engine.embedded import EmbeddedEngine
from mlops_dagster.predictions.engine.engine import Engine
from mlops_dagster.predictions.engine.spark import SparkEngine
from mlops_dagster.urls import shown_url


def open_engine(url: str | None) -> Engine:
    """Return the engine at `url`, sc://host:port; without it the embedded one.

    Raises InvalidInputError for another address, and MissingExtraError without the extra `spark`.
    """
    if url is None:
        return EmbeddedEngine()
    if not url.startswith("sc://") or not url.removeprefix("sc://").strip("/"):
        raise InvalidInputError(
            f"there is no engine at {shown_url(url)!r}; MLOPS_ENGINE is sc://host:port of a Spark Connect server"
        )
    return SparkEngine(url)
