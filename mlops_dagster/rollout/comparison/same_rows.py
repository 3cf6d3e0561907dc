"""Comparison of two versions on the rows of the log that both may be judged by."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc, parse_time
from mlops_dagster.inference import Rescorer, column_of
from mlops_dagster.predictions import SERVED, PredictionLog
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.rollout.claims.shared_causes import rows_per_observation, shared_causes
from mlops_dagster.rollout.comparison.comparison import Comparison, LabelledSample, Tally, compare
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.schema import Feature

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_DAY = 20_000
"""The approximate maximum of rows taken of a day: they are in memory at once, and set the cost of a day."""

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def compare_on_log(
    registry: ModelRegistry,
    log: PredictionLog,
    champion: ModelVersion,
    challenger: ModelVersion,
    policy: RolloutPolicy,
    *,
    until: datetime,
    since: datetime | None = None,
    known_by: datetime | None = None,
    rows_a_day: int = ROWS_A_DAY,
) -> Comparison:
    """Score the labelled rows of [since, until) with both versions, from their verified artifacts, and compare.

    The window begins at the earliest when the training data of both had ended: rows that a version was fitted on do not
    judge it. Rows are those served by the split, with the label known by `known_by`, or else by `until`. Of a day with
    more than `rows_a_day`, the first minutes of each hour are taken, depending on the traffic alone: so of whole days,
    the sample of a longer window contains that of a shorter one. Slices are those of the challenger's card.

    Raises ModelFailedError for a version without a schema, the errors of loading an artifact, and StorageError.
    """
    until = in_utc(until)
    since = max(filter(None, [trained_until(champion), trained_until(challenger), since and in_utc(since)]))
    old, new = Rescorer(registry, champion), Rescorer(registry, challenger)
    card = challenger.card
    tally = Tally(part.name for part in (card.evaluation if card else ()) if part.name != OVERALL)
    features = {feature.name: feature for version in (old, new) for feature in version.schema.features}
    given = _Given(registry, champion.model, set(features))
    served = thinned_days = unlabelled = not_given = 0
    for start, end in spans(log, champion.model, since, until, rows_a_day):
        count = log.count_between(champion.model, start, end, SERVED)
        served += count
        thinned_days += count > rows_a_day
        for piece in _pieces(log, champion.model, start, end, count, rows_a_day):
            labelled = piece.filter(_known(piece, known_by or until))
            rows = labelled.filter(given.to_all(labelled))
            unlabelled += piece.num_rows - labelled.num_rows
            not_given += labelled.num_rows - rows.num_rows
            tally.add(rows["label"].to_pylist(), old.labels(rows), new.labels(rows), _values(rows, tally, features))
    sample = LabelledSample(since, until, served, thinned_days, unlabelled, not_given, tally.overall.total())
    others, days = registry.list(champion.model), max((until - since) / _DAY, 1.0)
    shared = [shared_causes(version, others) for version in (champion, challenger)]
    rows_as_one = rows_per_observation(policy, shared, sample.compared / days)
    return compare(
        champion.version, challenger.version, tally, sample, policy, rows_as_one, champion.task.joined(challenger.task)
    )


def trained_until(version: ModelVersion) -> datetime:
    """Return the first moment whose rows the version cannot have been fitted on.

    That is after the last row that its card names, and not before the time as of which it was trained; for a version
    with neither, it is the registration.
    """
    known = []
    if version.card is not None and version.card.provenance is not None:
        known.append(in_utc(version.card.provenance.end) + timedelta(microseconds=1))
    with suppress(KeyError, ValueError):  # other pipelines may write anything into the lineage
        known.append(parse_time(version.lineage["as_of"]))
    return max(known, default=in_utc(version.created_at))


class _Given:
    """The versions that were given every feature both need: a row of the log has its own version's input only."""

    def __init__(self, registry: ModelRegistry, model: str, features: set[str]) -> None:
        self._schemas = {version.version: version.schema for version in registry.list(model)}
        self._features = features

    def to_all(self, rows: "pa.Table") -> "pa.BooleanArray":
        """Return for each row whether its version was given every feature."""
        import pyarrow as pa

        whole = {
            version for version, schema in self._schemas.items() if schema and self._features.issubset(schema.names)
        }
        return pa.array([version in whole for version in rows["version"].to_pylist()], pa.bool_())


def spans(
    log: PredictionLog, model: str, since: datetime, until: datetime, rows: int = ROWS_A_DAY
) -> Iterator[tuple[datetime, datetime]]:
    """Yield [since, until) as one span if at most `rows` rows were served in it; otherwise one span a day (UTC)."""
    if since < until and log.count_between(model, since, until, SERVED) <= rows:
        yield since, until
        return
    while since < until:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        yield since, min(midnight, until)
        since = midnight


def _pieces(
    log: PredictionLog, model: str, since: datetime, until: datetime, count: int, rows_a_day: int
) -> Iterator["pa.Table"]:
    """Yield all rows of a span; of a day with too many, the same share of each hour."""
    if not count:
        return
    if count <= rows_a_day:
        yield log.labelled(model, since, until, SERVED)
        return
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour < until:
        first, last = max(hour, since), min(hour + _HOUR * (rows_a_day / count), until)
        if first < last:
            yield log.labelled(model, first, last, SERVED)
        hour += _HOUR


def _known(rows: "pa.Table", until: datetime) -> "pa.ChunkedArray":
    """Return which rows have a label known by `until`, and features: a request may fail before it has any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.fill_null(pc.less_equal(rows["labelled_at"], pa.scalar(until, rows["labelled_at"].type)), False)
    given = pa.chunked_array([pa.array([False] * rows.num_rows)])
    for name in rows.schema.names:
        if name.startswith("feature_"):
            given = pc.or_(given, pc.is_valid(rows[name]))
    return pc.and_(known, given)


def _values(rows: "pa.Table", tally: Tally, features: dict[str, Feature]) -> dict[str, Sequence[object]]:
    """Return the attributes that are sliced by, if they are features."""
    return {name: column_of(rows, features[name]).tolist() for name in tally.attributes if name in features}
