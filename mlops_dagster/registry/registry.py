"""The SDK: versions of models, who serves them, and how that came about."""

from mlops_dagster.registry.operations.history import History
from mlops_dagster.registry.operations.housekeeping import Housekeeping
from mlops_dagster.registry.operations.protecting import Protection
from mlops_dagster.registry.operations.versioning import Versioning


class ModelRegistry(Versioning, Protection, History, Housekeeping):
    """Versions, deployments and their history, on SQLite or PostgreSQL, and a content store in a folder or on S3.

    `uri` is `sqlite:///path`, `postgresql://user@host/database`, `mlflow://host[:port]` (an MLflow server that shows
    every version, told after every write; the rest is as in the settings), or nothing: the settings. A server that the
    settings name is told by `sync_catalogue` only. `actor` is who writes; else the OS user.
    `s3` is a client of boto3 to use for S3; else boto3 finds its own configuration. `progress` is told after each part
    of an artifact that goes to S3 how many bytes of how many are stored.
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
