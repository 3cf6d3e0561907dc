"""Facts that follow from the structure of a fitted scikit-learn estimator without calling it."""

from typing import Final

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
"""Classifiers whose `predict` is the most probable class by their own code, except for ties and rounding.

For any other estimator `predict` is called. Add a class only together with a case for it in tests/inference.
"""

_PIPELINE: Final = "sklearn.pipeline.Pipeline"


def predicts_most_probable(estimator: object) -> bool:
    """Return whether `predict` is known to be the class with the highest probability, unless two are close.

    Only exact classes are known: a subclass, or an instance with its own attribute `predict`, may decide otherwise.
    """
    if "predict" in getattr(estimator, "__dict__", {}):
        return False
    name = _name(estimator)
    if name == _PIPELINE:
        steps = getattr(estimator, "steps", [])
        return bool(steps) and predicts_most_probable(steps[-1][1])
    return name in _ARGMAX


def _name(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
