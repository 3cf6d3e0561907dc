"""Checks that an object is an acceptable classifier, before the fit where possible, with advice for others."""

from typing import Any, Final, cast

from mlops_dagster.errors import InvalidInputError

_AROUND_ONE: Final = ("sklearn.calibration", "sklearn.model_selection.")
_WRAPPED: Final = "wrap it: sklearn.calibration.CalibratedClassifierCV({name}(...))"
_WAYS: Final = {
    "GaussianProcessClassifier": 'choose multi_class="one_vs_rest"',
    "OneVsOneClassifier": "use OneVsRestClassifier around a classifier with probabilities",
    "OutputCodeClassifier": "use OneVsRestClassifier around a classifier with probabilities",
    "SGDClassifier": 'choose loss="log_loss", or ' + _WRAPPED,
    "VotingClassifier": 'choose voting="soft", of classifiers with probabilities',
}
"""Ways to give an estimator probabilities, if wrapping is not the way or not all of it."""


def check_classifier(estimator: object, *, fitted: bool) -> None:
    """Raise InvalidInputError unless this is a classifier with probabilities, `fitted` or to be fitted."""
    name = name_of(estimator)
    if isinstance(estimator, type):
        raise InvalidInputError(
            f"{estimator.__name__} is a class, not an estimator; make one of it: {estimator.__name__}()"
        )
    if not hasattr(estimator, "fit") and not hasattr(estimator, "predict"):
        raise InvalidInputError(
            f"an object of type {name} is not an estimator; give a fitted classifier, or a path or URL of its file"
        )
    if _is_no_classifier(estimator):
        raise InvalidInputError(f"{name} is not a classifier, and only classifiers are taken")
    if not _one_label_a_row(estimator):
        raise InvalidInputError(f"{name} gives several labels a row; fit and register one classifier for each label")
    if not _gives_probabilities(estimator):
        core = type(core_of(estimator)).__name__
        way = _WAYS.get(core, _WRAPPED).format(name=core)
        raise InvalidInputError(f"{name} has no predict_proba, and a prediction has a probability; {way}")
    if fitted and not _is_fitted(estimator):
        raise InvalidInputError(f"{name} is not fitted; call its fit before it is registered")


def _gives_probabilities(estimator: object) -> bool:
    core = core_of(estimator)
    if type(core).__name__ == "StackingClassifier" and getattr(core, "final_estimator", None) is None:
        return True  # the default, which `fit` sets
    if type(core).__name__ == "GaussianProcessClassifier" and getattr(core, "multi_class", "") == "one_vs_one":
        return False  # its predict_proba raises an error
    return hasattr(estimator, "predict_proba")


def _is_no_classifier(estimator: object) -> bool:
    kind = getattr(_tags(estimator), "estimator_type", None)
    # A class outside scikit-learn may be a classifier without the mixin that says so.
    return kind != "classifier" and (kind is not None or not hasattr(estimator, "predict_proba"))


def _one_label_a_row(estimator: object) -> bool:
    target = getattr(_tags(estimator), "target_tags", None)
    return target is None or bool(target.single_output)


def _tags(estimator: object) -> object:
    """Return scikit-learn's tags; None for an estimator of another library."""
    from sklearn.utils import get_tags

    try:
        return cast("object", get_tags(estimator))
    except (AttributeError, TypeError, ValueError):
        return None


def _is_fitted(estimator: object) -> bool:
    try:
        return len(cast("Any", estimator).classes_) > 0
    except (AttributeError, TypeError, ValueError):  # scikit-learn's NotFittedError is the first and the last
        return False


def for_classes_by_name(estimator: Any) -> Any:
    """Return an unfitted estimator that can be fitted on classes by name; only XGBoost's needs a wrapper for that."""
    if not type(core_of(estimator)).__module__.startswith("xgboost."):
        return estimator
    from mlops_dagster.tasks.classification.coded_labels import CodedLabels

    return CodedLabels(estimator)


def core_of(estimator: object) -> object:
    """Return the innermost classifier: the last step of pipelines, inside searches, thresholds and calibrations."""
    for _ in range(20):
        steps, inner = getattr(estimator, "steps", None), getattr(estimator, "estimator", None)
        if steps:
            estimator = steps[-1][1]
        elif inner is not None and type(estimator).__module__.startswith(_AROUND_ONE):
            estimator = inner
        else:
            break
    return estimator


def name_of(estimator: object) -> str:
    core, outer = type(core_of(estimator)).__name__, type(estimator).__name__
    return outer if core == outer else f"{outer} of {core}"
