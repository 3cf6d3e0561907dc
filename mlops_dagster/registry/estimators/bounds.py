"""Checks of indices that native code follows unchecked: an index out of bounds ends the predicting process.

A file gives the next node of each tree node, the feature that it tests, and the rows in a search tree. skops checks
types, not numbers. A file that was crafted to pass these checks still faces its trial, in another process.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_dagster.errors import UnsafeArtifactError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Structured: TypeAlias = npt.NDArray[np.void]


def check_bounds(estimator: object) -> None:
    """Raise UnsafeArtifactError if an index in a loaded estimator is outside of its arrays."""
    from scipy.sparse import issparse
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    parts = list(_parts_of(estimator))
    held: set[int] = set()
    for part in parts:
        its = getattr(part, "__dict__", {})
        if issparse(part):
            _require(_is_sound_sparse(part), part, "an index outside of its matrix")
        elif isinstance(part, BaseDecisionTree) and "tree_" in its:
            held |= _checked_trees(part, [part.tree_])
        elif isinstance(part, BaseGradientBoosting) and "estimators_" in its:
            held |= _checked_boosting(part)
        elif isinstance(part, BaseHistGradientBoosting) and "_predictors" in its:
            held |= _checked_histogram_boosting(part)
        elif isinstance(part, NeighborsBase) and "_fit_X" in its:
            _check_neighbors(part)
            held.add(id(its.get("_tree")))
        elif isinstance(part, BaseLibSVM) and "support_vectors_" in its:
            _check_support_vectors(part)
    # The search trees of neighbours from the file are not reachable any more: they were built anew.
    for part in _parts_of(estimator):
        if isinstance(part, Tree | TreePredictor | KDTree | BallTree):
            _require(id(part) in held, part, "no estimator around it that says how many features it has")


def _parts_of(estimator: object) -> Iterator[object]:
    """Yield every object that an estimator holds, once."""
    import numpy as np

    seen: dict[int, object] = {}  # keeps objects alive, so that no id is reused
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | bytearray | float | int | type | None):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
        elif isinstance(part, partial):
            waiting += (part.func, *part.args, *part.keywords.values())
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.ravel().tolist()
        waiting += getattr(part, "__dict__", {}).values()


def _checked_trees(owner: Any, trees: "list[Any]") -> set[int]:
    """Check scikit-learn's trees against the features of `owner`, and return their ids."""
    for tree in trees:
        nodes = tree.__getstate__()["nodes"]
        leaf = nodes["left_child"] == -1
        sound = (
            tree.n_features == owner.n_features_in_
            and tree.n_outputs >= 1
            and tree.max_n_classes >= 1
            and _leads_down(nodes, leaf, "left_child", "right_child")
            and _within(nodes["feature"][~leaf], owner.n_features_in_)
        )
        _require(sound, owner, "a tree that leads out of its nodes or features")
    return {id(tree) for tree in trees}


def _checked_boosting(owner: Any) -> set[int]:
    grown = owner.estimators_
    _require(grown.ndim == 2 and grown.shape[1] == owner.n_trees_per_iteration_, owner, "another number of trees")
    trees = [each.tree_ for each in grown.ravel()]
    _require(all(tree.n_outputs == 1 for tree in trees), owner, "a tree with several outputs")
    return _checked_trees(owner, trees)


def _checked_histogram_boosting(owner: Any) -> set[int]:
    import numpy as np

    categorical = np.asarray(owner._bin_mapper.is_categorical_, dtype=bool)
    _require(len(categorical) == owner.n_features_in_, owner, "bins for another number of features")
    predictors = [each for iteration in owner._predictors for each in iteration]
    for predictor in predictors:
        nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
        leaf = nodes["is_leaf"] != 0
        inner = nodes[~leaf]
        by_category = inner[inner["is_categorical"] != 0]
        sound = (
            _leads_down(nodes, leaf, "left", "right")
            and _within(inner["feature_idx"], owner.n_features_in_)
            and bitsets.shape[1:] == (8,)
            and _within(by_category["bitset_idx"], len(bitsets))
            and bool(categorical[by_category["feature_idx"]].all())
        )
        _require(sound, owner, "a tree that leads out of its nodes, features or categories")
    return {id(predictor) for predictor in predictors}


def _check_neighbors(owner: Any) -> None:
    """Check the rows of a neighbours classifier, and rebuild its search tree as its fit did."""
    import numpy as np
    from sklearn.neighbors import BallTree, KDTree

    rows = owner._fit_X
    _require(rows.ndim == 2 and rows.shape[1] == owner.n_features_in_, owner, "rows of other features")
    if owner.__dict__.get("_tree") is not None:
        grow = type(owner._tree)
        _require(grow in (BallTree, KDTree), owner, "another search tree")
        owner._tree = grow(rows, owner.leaf_size, metric=owner.effective_metric_, **owner.effective_metric_params_)
    places = owner.__dict__.get("_y")
    if places is not None and not owner.outputs_2d_:
        sound = np.shape(places) == (rows.shape[0],) and _within(np.asarray(places), len(owner.classes_))
        _require(sound, owner, "labels that are none of its classes")


def _check_support_vectors(owner: Any) -> None:
    vectors, classes = owner.support_vectors_.shape[0], len(owner._n_support)
    of_classes, pairs = max(classes, 2), max(classes * (classes - 1) // 2, 1)
    weights = owner._dual_coef_
    sound = (
        vectors == len(owner.support_)
        and int(owner._n_support.min()) >= 0
        and int(owner._n_support.sum()) == vectors
        and weights.shape == (of_classes - 1, vectors)
        and (not owner._sparse or weights.nnz == vectors * (of_classes - 1))
        and owner._intercept_.shape == (pairs,)
        and {len(owner._probA), len(owner._probB)} in ({0}, {pairs})
        and (owner.kernel == "precomputed" or owner.support_vectors_.shape[1] == owner.n_features_in_)
        and _within(owner.support_, owner.shape_fit_[0])
    )
    _require(sound, owner, "support vectors that do not go together")


def _leads_down(nodes: "Structured", leaf: "npt.NDArray[np.bool_]", left: str, right: str) -> bool:
    """Return whether there are nodes, and children come after their parents: then each path ends, inside."""
    import numpy as np

    places, inner = np.arange(len(nodes))[~leaf], nodes[~leaf]
    return len(nodes) > 0 and all(
        bool((inner[child].astype(np.int64) > places).all()) and _within(inner[child], len(nodes))
        for child in (left, right)
    )


def _within(indices: "npt.NDArray[Any]", size: int) -> bool:
    return bool(((indices >= 0) & (indices < size)).all())


def _is_sound_sparse(matrix: Any) -> bool:
    check = getattr(matrix, "check_format", None)
    if check is None:  # not a kind that scikit-learn's native code reads
        return True
    try:
        check(full_check=True)
    except ValueError:
        return False
    return True


def _require(sound: bool, owner: object, what: str) -> None:
    if not sound:
        raise UnsafeArtifactError(
            f"a {type(owner).__name__} in the file has {what}: to predict with it would end the process; the file is "
            "damaged or was made to do harm: save the estimator anew where it was fitted"
        )
