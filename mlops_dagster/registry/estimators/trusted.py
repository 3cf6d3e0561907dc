"""Types that a skops file may hold beyond those that skops itself trusts.

Each type only keeps data, or names a function of data; none runs code when it is made. Indices that native code
follows unchecked (trees, search trees, support vectors) are checked after the load, see `bounds`.

Deliberately absent: scipy's distributions, whose `__setstate__` runs the text of a template, and its splines, whose
indices no check covers.
"""

from collections.abc import Collection
from typing import Final

_SPLITTERS = (
    "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneOut", "PredefinedSplit", "RepeatedKFold",
    "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold", "StratifiedKFold", "StratifiedShuffleSplit",
    "TimeSeriesSplit",
)  # fmt: skip
_METRICS = (
    "accuracy_score", "balanced_accuracy_score", "brier_score_loss", "cohen_kappa_score", "f1_score", "fbeta_score",
    "jaccard_score", "log_loss", "matthews_corrcoef", "precision_score", "recall_score",
)  # fmt: skip
_RANKINGS = ("average_precision_score", "roc_auc_score", "top_k_accuracy_score")
_KERNELS = (
    "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel",
    "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel",
)  # fmt: skip
_DISTANCES = (
    "BrayCurtis", "Canberra", "Chebyshev", "Dice", "Euclidean", "Hamming", "Haversine", "Jaccard", "Mahalanobis",
    "Manhattan", "Minkowski", "RogersTanimoto", "RussellRao", "SEuclidean", "SokalSneath",
)  # fmt: skip

TRUSTED: Final = frozenset(
    {
        # Trees and search trees: `bounds` checks their indices.
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        *(f"sklearn.metrics._dist_metrics.{name}Distance64" for name in _DISTANCES),
        # Parts of scikit-learn's classifiers.
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        # Parts of its transformers.
        "sklearn.compose._column_transformer.make_column_selector",  # columns by dtype
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn.impute._iterative._ImputerTriplet",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.utils.validation.check_array",  # HistGradientBoosting checks its categorical columns with it ...
        "functools.partial",  # ... through a partial: the function in it must be trusted too
        "builtins.object",  # dtype_include=object
        "numpy.dtype",  # dtype of an encoder
        "numpy.mean",  # FeatureAgglomeration
        # Searches for parameters and thresholds. The metrics are functions of labels, which are not called after the
        # fit; TunedThresholdClassifierCV reads the positive class of its scorer.
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._MultimetricScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
        *(f"sklearn.metrics._classification.{name}" for name in _METRICS),
        *(f"sklearn.metrics._ranking.{name}" for name in _RANKINGS),
        # Boosters: each keeps its trees as bytes or text in the format of its library, which that library parses.
        "catboost.core.CatBoostClassifier",
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        # This project's.
        "mlops_dagster.tasks.classification.coded_labels.CodedLabels",
    }
)


def untrusted(types: Collection[str], listed: Collection[str]) -> list[str]:
    """Return the `types` that are neither in `TRUSTED` nor `listed` by the operator, sorted."""
    return sorted(set(types) - TRUSTED - set(listed))


def not_trusted(holder: str, types: Collection[str]) -> str:
    """Return the message for `types` that are not trusted, with advice."""
    nameless = [name for name in types if name.startswith("__main__.") or "<" in name]
    if nameless:
        return (
            f"{holder} holds types that are not trusted: {', '.join(types)}; {', '.join(nameless)} cannot be found "
            "again where the model is served: define it by a name of its own in a module that is installed there"
        )
    return (
        f"{holder} holds types that are not trusted: {', '.join(types)}; if you trust that code, set "
        f"MLOPS_TRUSTED_TYPES={','.join(types)} (added to what is listed there already) wherever the model is trained, "
        "registered, served and scores batches"
    )
