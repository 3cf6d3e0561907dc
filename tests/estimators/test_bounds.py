"""What leads out of its own arrays is refused when it is loaded: nothing may predict with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mlops_dagster.errors import UnsafeArtifactError
from mlops_dagster.registry import estimators

ROWS = np.random.default_rng(0).integers(0, 6, (120, 3)).astype(np.float64)
LABELS = np.where(ROWS[:, 0] + ROWS[:, 1] > 5, "late", "on_time")
Change = Callable[[Any], None]


def in_tree(field: str, value: int, at: Callable[[Any], Any] = lambda model: model) -> Change:
    """Change one field of the root of a tree of scikit-learn, behind its back."""

    def change(model: Any) -> None:
        tree = at(model).tree_
        state = tree.__getstate__()
        state["nodes"][field][0] = value
        tree.__setstate__(state)

    return change


def in_histogram_tree(field: str, value: int) -> Change:
    def change(model: Any) -> None:
        model._predictors[0][0].nodes[field][0] = value

    return change


def to(name: str, change: Callable[[Any], Any]) -> Change:
    return lambda model: setattr(model, name, change(getattr(model, name)))


def fewer_features(model: Any) -> None:
    """A tree that knows more features than the boosting around it checks."""
    wide = GradientBoostingClassifier(n_estimators=1).fit(np.hstack([ROWS[:, :1] * 0, ROWS]), LABELS)
    model.estimators_[0, 0] = wide.estimators_[0, 0]


TREE = DecisionTreeClassifier(max_depth=3)
FOREST = RandomForestClassifier(3, max_depth=3)
BOOSTING = GradientBoostingClassifier(n_estimators=2)
HISTOGRAM = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0, 1])
NEIGHBORS = KNeighborsClassifier(algorithm="brute")
VECTORS = make_pipeline(StandardScaler(), SVC())
BROKEN: dict[str, tuple[Any, Change]] = {
    "child beyond": (TREE, in_tree("right_child", 2**30)),
    "child before": (TREE, in_tree("left_child", -7)),
    "circle": (TREE, in_tree("left_child", 0)),
    "feature": (TREE, in_tree("feature", 3)),
    "negative feature": (TREE, in_tree("feature", -2)),
    "in a forest": (FOREST, in_tree("feature", 9, lambda model: model.estimators_[2])),
    "in a bag": (BaggingClassifier(TREE), in_tree("feature", 9, lambda model: model.estimators_[1])),
    "in a boosting": (BOOSTING, in_tree("right_child", 99, lambda model: model.estimators_[1, 0])),
    "more features": (BOOSTING, fewer_features),
    "more trees": (BOOSTING, to("estimators_", lambda its: np.hstack([its, its]))),
    "histogram child": (HISTOGRAM, in_histogram_tree("left", 2**30)),
    "histogram circle": (HISTOGRAM, in_histogram_tree("right", 0)),
    "histogram feature": (HISTOGRAM, in_histogram_tree("feature_idx", 3)),
    "category": (HISTOGRAM, in_histogram_tree("bitset_idx", 99)),
    "labels": (NEIGHBORS, to("_y", lambda its: its + 5)),
    "rows": (NEIGHBORS, to("_fit_X", lambda its: its[:, :2])),
}


def loaded(model: Any, file: Path) -> Any:
    return estimators.load(estimators.save(model, file))


@pytest.mark.parametrize("kind", BROKEN)
def test_what_leads_out_of_its_arrays_is_not_loaded(kind: str, tmp_path: Path) -> None:
    model, change = BROKEN[kind]
    fitted = clone(model).fit(ROWS, LABELS)  # a wrapper holds the unfitted one as well
    inside = make_pipeline(StandardScaler().fit(ROWS), fitted)
    loaded(inside, tmp_path / "sound")
    change(fitted)
    with pytest.raises(UnsafeArtifactError, match="would end the process; the file is damaged"):
        loaded(inside, tmp_path / "broken")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("support_vectors_", lambda its: its[:-1]),
        ("_n_support", lambda its: its + 1),
        ("_dual_coef_", lambda its: its[:, :-1]),
        ("_intercept_", lambda its: its[:0]),
    ],
)
def test_support_vectors_go_together(name: str, change: Callable[[Any], Any], tmp_path: Path) -> None:
    from sklearn.calibration import CalibratedClassifierCV

    fitted: Any = CalibratedClassifierCV(SVC(), ensemble=False).fit(ROWS, LABELS)
    loaded(fitted, tmp_path / "sound")
    inner = fitted.calibrated_classifiers_[0].estimator
    setattr(inner, name, change(getattr(inner, name)))
    with pytest.raises(UnsafeArtifactError, match="SVC in the file has support vectors that do not go together"):
        loaded(fitted, tmp_path / "broken")


def test_a_sparse_matrix_keeps_within_its_columns(tmp_path: Path) -> None:
    fitted = KNeighborsClassifier().fit(sparse.csr_matrix(ROWS), LABELS)
    loaded(fitted, tmp_path / "sound")
    fitted._fit_X.indices[0] = 2**20
    with pytest.raises(UnsafeArtifactError, match="csr_matrix in the file has an index outside of its matrix"):
        loaded(fitted, tmp_path / "broken")


def test_a_search_tree_is_grown_anew(tmp_path: Path) -> None:
    """What the file says of it is not followed; the answers are the same."""
    fitted: Any = KNeighborsClassifier(algorithm="kd_tree").fit(ROWS, LABELS)
    sound = fitted.predict_proba(ROWS)
    state = list(fitted._tree.__getstate__())
    state[1] = np.asarray(state[1])[::-1].copy()  # the places of the rows
    fitted._tree.__setstate__(tuple(state))
    assert not np.array_equal(fitted.predict_proba(ROWS), sound)
    np.testing.assert_array_equal(loaded(fitted, tmp_path / "model").predict_proba(ROWS), sound)
    fitted.search = fitted._tree
    fitted._tree = None
    with pytest.raises(UnsafeArtifactError, match="KDTree in the file has no estimator around it"):
        loaded(fitted, tmp_path / "model")
