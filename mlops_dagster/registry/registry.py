"""The SDK: versions of models, their deployments, and the history of both."""

from mlops_dagster.registry.operations.fleet import Fleet
from mlops_dagster.registry.operations.history import History
from mlops_dagster.registry.operations.housekeeping import Housekeeping
from mlops_dagster.registry.operations.protecting import Protection
from mlops_dagster.registry.operations.versioning import Versioning


class ModelRegistry(Versioning, Protection, History, Fleet, Housekeeping):
    """The model registry, on SQLite or PostgreSQL, with a content store in a folder or on S3.

    `uri` is `sqlite:///path`, `postgresql://user@host/database`, `mlflow://host[:port]` (an MLflow server that shows
    every version and is updated after every write; the rest is as in the settings), or None: all from the settings. An
    MLflow server that only the settings name is updated by `sync_catalogue` alone. `actor` is the name that events
    carry; by default the OS user. `s3` is the boto3 client to use for S3; by default boto3 finds its own configuration.
    `progress` is called after each part of an artifact that goes to S3, with the bytes stored so far and the total.
    Any number of processes and threads may use registries on one database.
    Raises HomeNotWritableError, StorageError, and InvalidInputError for another kind of URI.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as home:
    ...     artifact = Path(home, "model.onnx")
    ...     _ = artifact.write_bytes(b"...")
    ...     registry = ModelRegistry(f"sqlite:///{home}/mlops.sqlite")
    ...     version = registry.register("classifier-prod", artifact, "v2.4.1", tags={"env": "prod"})
    ...     shadow = registry.transition(version, "Shadow", reason="looks good")
    ...     registry.deployment("classifier-prod").shadows
    ('2.4.1',)
    """
