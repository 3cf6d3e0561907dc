"""Estimators as files, by skops: unlike pickle, loading one runs only code that is on a list."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mlops_dagster.errors import InvalidInputError, UnsafeArtifactError
from mlops_dagster.registry.estimators.estimator import Estimator

# What fitted pipelines of OrdinalEncoder, OneHotEncoder, ColumnTransformer, StandardScaler, LogisticRegression and
# HistGradientBoostingClassifier hold beyond what skops itself trusts. Each only keeps data, or names
# a function that is on one of the two lists; none runs anything when it is made.
TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # the trees: plain arrays
    "sklearn.compose._column_transformer.make_column_selector",  # columns by dtype
    "sklearn.utils.validation.check_array",  # HistGradientBoosting checks its categorical columns with it ...
    "functools.partial",  # ... through a partial: the function in it must be trusted too
    "builtins.object",  # dtype_include=object
    "numpy.dtype",  # dtype of an encoder
    # TunedThresholdClassifierCV keeps how its threshold was tuned; its `predict` reads the positive class there, and
    # no more. The metrics are functions of labels, which nothing calls once the estimator is fitted.
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.cohen_kappa_score",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.fbeta_score",
    "sklearn.metrics._classification.jaccard_score",
    "sklearn.metrics._classification.matthews_corrcoef",
    "sklearn.metrics._classification.precision_score",
    "sklearn.metrics._classification.recall_score",
)


def save(estimator: object, path: Path) -> Path:
    """Write the estimator to `path` and return it; raises UnsafeArtifactError if `load` would refuse the file.

    Two dumps of one estimator differ in their bytes: dump once, and register that file.
    """
    import skops.io

    skops.io.dump(estimator, path)
    try:
        _check_types(path)
    except UnsafeArtifactError:
        path.unlink()
        raise
    return path


def load_skops(file: Path) -> Estimator:
    """The estimator in a skops file.

    Raises UnsafeArtifactError if it holds types that are not trusted, InvalidInputError if it is no skops file.
    """
    import skops.io

    _check_types(file)
    return cast("Estimator", skops.io.load(file, trusted=TRUSTED))


def _check_types(file: Path) -> None:
    untrusted = sorted(set(_types_beyond_skops(file)) - set(TRUSTED))
    if untrusted:
        raise UnsafeArtifactError(
            f"{file.name} holds types that are not trusted: {', '.join(untrusted)}; "
            "use scikit-learn's own, or ask for them to be added to mlops_dagster.registry.estimators.TRUSTED"
        )


def _types_beyond_skops(file: Path) -> Sequence[str]:
    from zipfile import BadZipFile

    import skops.io

    try:
        return cast("Sequence[str]", skops.io.get_untrusted_types(file=file))
    except (BadZipFile, KeyError, ValueError) as error:
        raise InvalidInputError(f"{file.name} is no skops file ({error}); `fetch` gives its bytes") from error
