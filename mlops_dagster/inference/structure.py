"""Facts that the structure of a fitted scikit-learn estimator tells without asking it."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops_dagster.inference.rows import NULL, Null

_ARGMAX: Final = frozenset(
    {
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
        "sklearn.ensemble._bagging.BaggingClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.naive_bayes.BernoulliNB",
        "sklearn.naive_bayes.CategoricalNB",
        "sklearn.naive_bayes.ComplementNB",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.naive_bayes.MultinomialNB",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier",
    }
)
"""Classifiers whose `predict` is the most probable class by their own code, but for ties and rounding.

Any other estimator is asked for its `predict`. A class is added here once tests/inference has it among its cases.
"""

_PIPELINE: Final = "sklearn.pipeline.Pipeline"


def predicts_most_probable(estimator: object) -> bool:
    """Return whether `predict` is known to be the class with the highest probability, wherever that one stands out.

    Only exact classes are known: a subclass, or an instance with a `predict` of its own, may decide otherwise.
    """
    if "predict" in getattr(estimator, "__dict__", {}):
        return False
    name = _name(estimator)
    if name == _PIPELINE:
        steps = getattr(estimator, "steps", [])
        return bool(steps) and predicts_most_probable(steps[-1][1])
    return name in _ARGMAX


def null_of(estimator: object) -> Null:
    """Return the null that the estimator was fitted with: None if its encoders remember None and no NaN, else NaN.

    Versions that the platform trains are fitted with NaN. Others were fitted with the nulls of their own frames.
    """
    remembered = [value for part in _parts(estimator, set()) for value in _nulls(part)]
    return None if None in remembered and not any(value is not None for value in remembered) else NULL


def _nulls(part: object) -> Iterator[Null]:
    """Yield the nulls among the categories of an encoder, or the one that an imputer replaces."""
    for categories in getattr(part, "categories_", ()):
        if getattr(categories, "dtype", None) == np.object_:
            yield from (value for value in categories if value is None or value != value)
    if _name(part).startswith("sklearn.impute.") and getattr(part, "missing_values", NULL) is None:
        yield None


def _parts(part: object, seen: set[int]) -> Iterator[object]:
    """Yield an estimator and every estimator inside it."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, list | tuple):
        inside: list[object] = list(part)
    elif isinstance(part, dict):
        inside = list(part.values())
    elif type(part).__module__.startswith("sklearn."):
        yield part
        inside = list(getattr(part, "__dict__", {}).values())
    else:
        return
    for each in inside:
        yield from _parts(each, seen)


def _name(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
