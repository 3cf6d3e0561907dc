"""Checks that an object is an acceptable estimator for its task, before the fit where possible."""

from collections.abc import Collection

from mlops_dagster.errors import UnsafeArtifactError
from mlops_dagster.registry.estimators.skops_file import untrusted_types
from mlops_dagster.registry.estimators.trusted import not_trusted
from mlops_dagster.tasks import Task


def check_unfitted(estimator: object, task: type[Task], trusted: Collection[str] = ()) -> None:
    """Raise InvalidInputError for an estimator that no fit can make one for `task`.

    Raises UnsafeArtifactError for types that are not trusted. `trusted` are the operator's own types beyond `TRUSTED`.
    Types that only the fit adds are found when the estimator is saved.
    """
    task.check_estimator(estimator, fitted=False)
    types = untrusted_types(estimator, trusted)
    if types:
        raise UnsafeArtifactError(not_trusted(type(estimator).__name__, types))
