"""Classification: everything that is true of classifiers only; other rooms reach it through `Task`."""

from mlops_dagster.tasks.classification.task import NO_CLASS, SCORE_BINS, Classification

__all__ = ["NO_CLASS", "SCORE_BINS", "Classification"]
