"""The trial whether an estimator that was fitted on named columns answers the same for their bare matrix."""

import warnings

import numpy as np

from mlops_dagster.inference.rows import features_frame, features_matrix
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import Ask


def answers_alike_to_a_matrix(ask: Ask, estimator: Estimator, schema: ModelSchema) -> bool:
    """Return whether an estimator fitted on these columns answers the same for their bare matrix, by a trial.

    scikit-learn takes a quarter of a millisecond to check the names and types of a frame; here the schema has checked
    both. An estimator that picks columns by name fails with a matrix, and goes on getting frames.
    """
    if tuple(getattr(estimator, "feature_names_in_", ())) != schema.names:
        return False
    if any(feature.kind == "categorical" for feature in schema.features):
        return False
    # The names are left out on purpose.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    made_up = np.random.default_rng(0).normal(scale=10, size=(len(schema.names), 16))
    columns = dict(zip(schema.names, made_up, strict=True))
    try:
        said, found = ask(features_frame(schema, columns))
        said_again, found_again = ask(features_matrix(schema, columns))
    except Exception:  # any error: the frame is known to work
        return False
    if said is None or said_again is None:
        return said is said_again and np.array_equal(found, found_again)
    return np.array_equal(said, said_again) and np.array_equal(found, found_again)
