"""Inference: the scores and labels of a version for rows, defined once, and rows of the log as features.

The model card, the server, batch scores, the comparison of two versions on the log and the replay of one row all score
here, so that a row gets the same answer everywhere. docs/decisions/0034 has the rules.
"""

from mlops_dagster.inference.logged import arrow_column, column_of, columns_of, feature_of, logged_value, text_column
from mlops_dagster.inference.rescoring import Rescorer
from mlops_dagster.inference.rows import features_frame, features_matrix
from mlops_dagster.inference.scorer import Scored, Scorer

__all__ = [
    "Rescorer",
    "Scored",
    "Scorer",
    "arrow_column",
    "column_of",
    "columns_of",
    "feature_of",
    "features_frame",
    "features_matrix",
    "logged_value",
    "text_column",
]
