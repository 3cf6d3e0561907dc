"""The kind of null (None or NaN) that each feature had in the frame that a scikit-learn estimator was fitted on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

import numpy as np

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference.rows import NULL, Null
from mlops_dagster.schema import ModelSchema


class _Column(NamedTuple):
    """A column on its way through the steps: the features it may come from, and the imputers that filled its NaNs."""

    sources: frozenset[str] = frozenset()
    filled_by: frozenset[int] = frozenset()


_Columns: TypeAlias = tuple[_Column, ...]
_WITHOUT_NULLS: Final[_Columns] = (_Column(),)
_IMPUTER: Final = "SimpleImputer"
_WALKED: Final = ("sklearn.", "mlops_dagster.registry.estimators.")
"""The modules of steps that are known to keep their parts in their attributes."""


def nulls_of(version: str, schema: ModelSchema, estimator: object) -> dict[str, Null]:
    """Return the null of each categorical feature: the one that steps remember or replace in its column, else NaN.

    Versions that the platform trains are fitted with NaN. Others were fitted with the nulls of their own frames, and
    encoders take None and NaN for two categories. Raises ModelFailedError if steps need both for one feature.
    """
    search = _Search(schema.names)
    search.walk(estimator, search.raw)
    wanted = search.wanted()
    found: dict[str, Null] = {}
    for feature in schema.features:
        if feature.kind != "categorical":
            continue
        steps = wanted.get(feature.name, {})
        if len(steps) > 1:
            raise ModelFailedError(
                f"version {version} wants both kinds of null for the feature {feature.name!r}: None in "
                f"{_listed(steps['None'])}, NaN in {_listed(steps['NaN'])}; fit it again on a frame with NaN for every "
                "missing value, and imputers with missing_values=np.nan"
            )
        found[feature.name] = None if "None" in steps else NULL
    return found


class _Search:
    """A walk through the steps of an estimator, collecting the null that each step needs for each feature."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self.raw = tuple(_Column(frozenset([name])) for name in names)
        self._none: set[tuple[str, str]] = set()
        self._nan: set[tuple[str, str, int]] = set()
        self._let_none_pass: set[tuple[str, int]] = set()
        self._seen: set[tuple[int, _Columns]] = set()

    def wanted(self) -> dict[str, dict[str, set[str]]]:
        """Return the steps by feature and null; an imputer of NaNs does not count if a later encoder has seen None."""
        found: dict[str, dict[str, set[str]]] = {}
        for feature, step in self._none:
            found.setdefault(feature, {}).setdefault("None", set()).add(step)
        for feature, step, its_id in self._nan:
            if (feature, its_id) not in self._let_none_pass:
                found.setdefault(feature, {}).setdefault("NaN", set()).add(step)
        return found

    def walk(self, part: object, given: _Columns) -> _Columns:
        """Note the nulls that the steps in `part` need for the columns given to it; return the columns it outputs."""
        if not type(part).__module__.startswith(_WALKED):
            return given if part is None or part == "passthrough" else (_merged(given),)
        columns, its = self._as_fitted(part, given), getattr(part, "__dict__", {})
        match type(part).__name__:
            case "Pipeline":
                for _, step in its["steps"]:
                    columns = self.walk(step, columns)
                return columns
            case "ColumnTransformer":
                return self._side_by_side(its, columns) if "transformers_" in its else (_merged(columns),)
            case "FeatureUnion":
                made = [self.walk(step, columns) for _, step in its["transformer_list"] if step != "drop"]
                return (_merged(column for each in made for column in each),)
        if "categories_" in its:
            self._remembered(part, columns, its["categories_"])
            return _WITHOUT_NULLS
        if type(part).__module__.startswith("sklearn.impute.") and hasattr(part, "n_features_in_"):
            return self._imputed(part, columns)
        self._inside(its, columns)
        return _through(part, columns)

    def _as_fitted(self, part: object, given: _Columns) -> _Columns:
        """Return the columns in the order of the fit of `part`; if their number differs, each may be any of them."""
        own = [str(name) for name in getattr(part, "feature_names_in_", ())]
        if given == self.raw and own and set(own) <= set(self._names):
            return tuple(given[self._names.index(name)] for name in own)
        return _so_many(given, getattr(part, "n_features_in_", len(given)))

    def _side_by_side(self, its: Mapping[str, object], columns: _Columns) -> _Columns:
        picked = cast("Mapping[str, Sequence[int]]", its["_transformer_to_input_indices"])
        places = cast("Mapping[str, slice]", its["output_indices_"])
        made = list(_WITHOUT_NULLS * max((place.stop for place in places.values()), default=0))
        for name, step, _ in cast("Sequence[tuple[str, object, object]]", its["transformers_"]):
            if step != "drop" and len(picked[name]):
                found = self.walk(step, tuple(columns[place] for place in picked[name]))
                made[places[name]] = _so_many(found, places[name].stop - places[name].start)
        return tuple(made)

    def _remembered(self, part: object, columns: _Columns, categories: Sequence[object]) -> None:
        for column, known in zip(columns, categories, strict=True):
            for null in _nulls(known):
                for feature in column.sources:
                    self._want(part, feature, null)
                    if null is None:
                        self._let_none_pass |= {(feature, imputer) for imputer in column.filled_by}

    def _imputed(self, part: object, columns: _Columns) -> _Columns:
        null = getattr(part, "missing_values", NULL)
        if not _is_null(null):
            return _through(part, columns)  # it replaces another value
        if type(part).__name__ == _IMPUTER:
            of_texts = getattr(part, "statistics_", np.empty(0)).dtype == np.object_
            seen: Sequence[int] = range(len(columns) if of_texts else 0)
        else:
            seen = getattr(part, "features_", ())
        for feature in {feature for place in seen for feature in columns[place].sources}:
            self._want(part, feature, null)
        if null is None:  # scikit-learn refuses NaN at this imputer's input, and it outputs no None
            return _WITHOUT_NULLS
        return _through(part, tuple(each._replace(filled_by=each.filled_by | {id(part)}) for each in columns))

    def _want(self, part: object, feature: str, null: Null) -> None:
        if null is None:
            self._none.add((feature, type(part).__name__))
        else:
            self._nan.add((feature, type(part).__name__, id(part)))

    def _inside(self, its: Mapping[str, object], columns: _Columns) -> None:
        """Walk the estimators inside a wrapper: they get its columns, except bags and the last one of a stack."""
        others = dict(its)
        if "estimators_features_" in its:
            bags = cast("Sequence[Sequence[int]]", others.pop("estimators_features_"))
            for each, places in zip(cast("Sequence[object]", others.pop("estimators_")), bags, strict=True):
                self._once(each, tuple(columns[place] for place in places))
        if "final_estimator_" in its:
            last = others.pop("final_estimator_")
            passed = columns if its.get("passthrough") else ()
            answers = max(getattr(last, "n_features_in_", 1) - len(passed), 0)
            self._once(last, _WITHOUT_NULLS * answers + passed)
        self._once(others, columns)

    def _once(self, part: object, columns: _Columns) -> None:
        if (id(part), columns) in self._seen:
            return
        self._seen.add((id(part), columns))
        if isinstance(part, dict | list | tuple):
            for each in part.values() if isinstance(part, dict) else part:
                self._once(each, columns)
        elif type(part).__module__.startswith(_WALKED):
            self.walk(part, columns)


def _through(part: object, columns: _Columns) -> _Columns:
    """Return the columns after a step: named ones if it keeps their names; any other one may come from all of them."""
    own = getattr(part, "feature_names_in_", [f"x{place}" for place in range(len(columns))])
    names_out = getattr(part, "get_feature_names_out", None)
    try:
        names = [] if names_out is None else list(names_out())
    except Exception:  # any error: the step has no names for its outputs
        names = []
    known = dict(zip(own, columns, strict=False))
    return tuple(known.get(name, _merged(columns)) for name in names) or (_merged(columns),)


def _so_many(columns: _Columns, number: int) -> _Columns:
    return columns if len(columns) == number else (_merged(columns),) * number


def _merged(columns: Iterable[_Column]) -> _Column:
    every = tuple(columns)
    return _Column(
        frozenset().union(*(each.sources for each in every)), frozenset().union(*(each.filled_by for each in every))
    )


def _nulls(categories: object) -> Iterator[Null]:
    if isinstance(categories, np.ndarray) and categories.dtype == np.object_:
        yield from (value for value in categories if _is_null(value))


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _listed(steps: set[str]) -> str:
    return " and ".join(sorted(steps))
