"""Rollouts and their decisions, in the database of the registry."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from mlops_dagster.clock import SystemClock, in_utc
from mlops_dagster.database import looking, migrate, open_database, reading, remove, removing, writing
from mlops_dagster.documents.readable import Followed, readable
from mlops_dagster.errors import AlreadyRunningError, RolloutNotFoundError, UnreadableError
from mlops_dagster.rollout.decide import highest
from mlops_dagster.rollout.entities import Decision, Outcome, Phase, Rollout
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.store.rows import RUNNING, columns_of, decision_of, decisions, rollout_of, rollouts
from mlops_dagster.statistics import DesignEffect
from mlops_dagster.tasks import UNKNOWN_TASK, Task

REPEAT_AFTER = timedelta(seconds=60)
"""Time before the same decision is returned for enactment again: a run that enacts it takes about 15 s to start."""

HOLD_AGAIN_AFTER = timedelta(hours=1)
"""Time before a hold is recorded again that differs from the last one in its numbers only."""


_NUMBER = re.compile(r"\d[\d.:e+-]*")


_ALL_RUNNING = select(rollouts).where(rollouts.c.phase.in_(RUNNING))


class RolloutStore:
    """The store of rollouts. Each read or change is one transaction. Processes may share the `database`."""

    def __init__(self, database: str) -> None:
        self._engine = open_database(database)
        migrate(self._engine)

    def start(
        self,
        model: str,
        champion: str,
        challenger: str,
        policy: RolloutPolicy,
        epoch: int,
        at: datetime,
        *,
        shared: DesignEffect | None = None,
        strata: Mapping[str, float] | None = None,
        task: Task = UNKNOWN_TASK,
    ) -> Rollout:
        """Store a new rollout, in shadow. Raises AlreadyRunningError if the model has a running one."""
        rollout = Rollout(
            id=0,
            model=model,
            champion=champion,
            challenger=challenger,
            policy=policy,
            phase=Phase.SHADOW,
            step=0,
            weight=0.0,
            started_at=in_utc(at),
            canary_at=None,
            step_at=in_utc(at),
            paused=False,
            peaks={},
            epoch=epoch,
            shared=shared,
            strata=strata or {},
            merit=task.merit,
            truth_noun=task.truth_noun,
        )
        try:
            with writing(self._engine) as connection:
                row = connection.execute(insert(rollouts).values(**columns_of(rollout)).returning(rollouts.c.id)).one()
        except IntegrityError as error:
            raise AlreadyRunningError(
                f"{model} has a running rollout, so {challenger} has to wait for its end; "
                f"`mlops rollouts list {model}` shows it"
            ) from error
        return replace(rollout, id=row.id)

    def get(self, rollout_id: int) -> Rollout:
        """Return a rollout by its id. Raises RolloutNotFoundError."""
        with reading(self._engine) as connection:
            return _get(connection, rollout_id)

    def list(self, model: str | None = None) -> Sequence[Rollout]:
        """Return the readable rollouts, oldest first; of all models if none is named."""
        query = select(rollouts).order_by(rollouts.c.id)
        return self._read_rollouts(query if model is None else query.where(rollouts.c.model == model))

    def active(self, model: str) -> Rollout | None:
        """Return the running rollout of `model`, or None; raises UnreadableError for one that cannot be read."""
        with reading(self._engine) as connection:
            row = connection.execute(_running(model)).one_or_none()
        return None if row is None else rollout_of(row)

    def follow_running(self) -> Callable[[], Mapping[str, Rollout | UnreadableError]]:
        """Return a function that reads every running rollout by its model in one statement, for who looks all the time.

        What has not changed since its last call is the same object; what cannot be read is its error.
        """
        followed = Followed(rollout_of)

        def read() -> Mapping[str, Rollout | UnreadableError]:
            with looking(self._engine) as connection:
                return followed.entities(connection.execute(_ALL_RUNNING).all())

        return read

    def running_models(self) -> Collection[str]:
        """Return the models with a running rollout, readable or not, in one query."""
        with reading(self._engine) as connection:
            return set(connection.scalars(select(rollouts.c.model).where(rollouts.c.phase.in_(RUNNING))))

    def running_at(self, at: datetime) -> Sequence[Rollout]:
        """Return the rollouts that ran at a time of the past, each as it is now, oldest first."""
        return [each for each in self.list() if each.started_at <= at and (each.ended_at is None or each.ended_at > at)]

    def running(self, model: str) -> Rollout:
        """Return the running rollout of `model`; raises RolloutNotFoundError if there is none."""
        rollout = self.active(model)
        if rollout is None:
            raise RolloutNotFoundError(
                f"no rollout of {model} is running; `mlops rollouts list {model}` shows the past"
            )
        return rollout

    def challengers(self, model: str) -> Collection[str]:
        """Return the versions that have or had a rollout, including unreadable ones."""
        with reading(self._engine) as connection:
            return set(connection.scalars(select(rollouts.c.challenger).where(rollouts.c.model == model)))

    def discard(self, model: str) -> str | None:
        """End a running rollout that cannot be read, and return its challenger; None if there is none."""
        with writing(self._engine) as connection:
            row = connection.execute(_running(model)).one_or_none()
            if row is None:
                return None
            connection.execute(update(rollouts).where(rollouts.c.id == row.id).values(phase=Phase.GIVEN_UP.value))
        return str(row.challenger)

    def change(self, rollout_id: int, changed: Callable[[Rollout], Rollout]) -> Rollout:
        """Replace the stored rollout by `changed(stored)` in one transaction, so that no change is overwritten."""
        with writing(self._engine) as connection:
            before = _get(connection, rollout_id)
            after = changed(before)
            if after != before:
                _put(connection, after)
        return after

    def pause(self, model: str, at: datetime) -> Rollout:
        """Pause the running rollout at its step. Raises RolloutNotFoundError if none runs."""
        return self.change(
            self.running(model).id,
            lambda rollout: replace(rollout, paused=True, paused_at=rollout.paused_at or in_utc(at)),
        )

    def resume(self, model: str, at: datetime) -> Rollout:
        """Let a paused rollout go on. Raises RolloutNotFoundError if none runs."""
        return self.change(
            self.running(model).id,
            lambda rollout: replace(rollout, paused=False, paused_at=None, paused_for=rollout.time_paused(at)),
        )

    def record(self, decision: Decision) -> Decision | None:
        """Record a decision with a new id; in any case its peaks become the rollout's, in the same transaction.

        A decision that repeats the last, which may be about to be enacted, is not recorded: the last is returned. A
        hold that continues the last for the same reason within the hour is not recorded either: it is returned without
        an id. Returns None if the rollout has gone on since the decision: then look again.
        """
        recorded_at = SystemClock().now()
        with writing(self._engine) as connection:
            rollout = _get(connection, decision.rollout.id)
            if rollout.phase.ended or rollout.epoch > decision.rollout.epoch:
                return None
            _put(connection, replace(rollout, peaks=highest(rollout.peaks, decision.peaks)))
            last = _last_decision(connection, rollout.id)
            if last is not None and _repeats(decision, last):
                return last
            if last is not None and _holds_on(decision, last):
                return decision
            row = connection.execute(
                insert(decisions)
                .values(
                    rollout_id=rollout.id,
                    outcome=decision.outcome.value,
                    recorded_at=recorded_at.isoformat(),
                    body=decision.to_json(),
                )
                .returning(decisions.c.id)
            ).one()
        return replace(decision, id=row.id, recorded_at=recorded_at)

    def decision(self, decision_id: int) -> Decision:
        """Return a decision by its id. Raises RolloutNotFoundError and UnreadableError."""
        with reading(self._engine) as connection:
            row = connection.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()
        if row is None:
            raise RolloutNotFoundError(
                f"no decision {decision_id}; `mlops rollouts list` shows the rollouts, and `mlops retention show` for "
                "how long the decisions of those that ended are kept"
            )
        return decision_of(row)

    def decisions(self, rollout_id: int) -> Sequence[Decision]:
        """Return the readable decisions of one rollout, oldest first."""
        return self._read_decisions(
            select(decisions).where(decisions.c.rollout_id == rollout_id).order_by(decisions.c.id)
        )

    def last_decision(self, rollout_id: int) -> Decision | None:
        """Return the newest decision of a rollout; None if there is none yet."""
        with reading(self._engine) as connection:
            return _last_decision(connection, rollout_id)

    def forget_decisions(self, model: str, ended_before: datetime, *, dry_run: bool = False) -> int:
        """Delete the decisions of rollouts that ended before a time; return how many. The rollouts themselves stay.

        With its rollout it is remembered that a version was tried. A rollout that cannot be read keeps its decisions.
        """
        over = [
            each.id for each in self.list(model) if each.ended_at is not None and each.ended_at < in_utc(ended_before)
        ]
        newest = select(func.max(decisions.c.id)).scalar_subquery()  # it stays, so that no number is given twice
        its = decisions.c.rollout_id.in_(over) & (decisions.c.id < newest)
        with removing(self._engine, dry_run=dry_run) as connection:
            return remove(connection, decisions, its, dry_run=dry_run)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def _read_rollouts(self, query: Select[*tuple[Any, ...]]) -> Sequence[Rollout]:
        with reading(self._engine) as connection:
            return readable(connection.execute(query), rollout_of)

    def _read_decisions(self, query: Select[*tuple[Any, ...]]) -> Sequence[Decision]:
        with reading(self._engine) as connection:
            return readable(connection.execute(query), decision_of)


def _running(model: str) -> Select[*tuple[Any, ...]]:
    return select(rollouts).where(rollouts.c.model == model, rollouts.c.phase.in_(RUNNING))


def _get(connection: Connection, rollout_id: int) -> Rollout:
    row = connection.execute(select(rollouts).where(rollouts.c.id == rollout_id)).one_or_none()
    if row is None:
        raise RolloutNotFoundError(f"no rollout {rollout_id}; `mlops rollouts list` shows what there is")
    return rollout_of(row)


def _last_decision(connection: Connection, rollout_id: int) -> Decision | None:
    """Return the newest decision; None if there is none, or if it cannot be read."""
    of_rollout = select(decisions).where(decisions.c.rollout_id == rollout_id)
    newest = connection.execute(of_rollout.order_by(decisions.c.id.desc()).limit(1))
    return next(iter(readable(newest, decision_of)), None)


def _repeats(decision: Decision, last: Decision) -> bool:
    same = _state(decision) == _state(last) and decision.outcome is not Outcome.HOLD
    return same and decision.at - last.at < REPEAT_AFTER


def _holds_on(decision: Decision, last: Decision) -> bool:
    """Return whether a hold repeats the last but for its numbers: decisions are 4 kB each, at a look every 10 s."""
    same = _state(decision) == _state(last) and decision.outcome is Outcome.HOLD and _words(decision) == _words(last)
    return same and decision.at - last.at < HOLD_AGAIN_AFTER


def _state(decision: Decision) -> tuple[object, ...]:
    rollout = decision.rollout
    return decision.outcome, decision.origin, rollout.phase, rollout.step, rollout.epoch, rollout.paused


def _words(decision: Decision) -> tuple[object, ...]:
    """Return the reason without its numbers, and the verdicts.

    >>> _NUMBER.sub("#", "soak until 2026-03-05 06:00; 9 more requests; paired.worse leans to worse (E 1.3e+05)")
    'soak until # #; # more requests; paired.worse leans to worse (E #)'
    """
    return _NUMBER.sub("#", decision.reason), *((test.name, test.verdict) for test in decision.tests)


def _put(connection: Connection, rollout: Rollout) -> None:
    connection.execute(update(rollouts).where(rollouts.c.id == rollout.id).values(**columns_of(rollout)))
