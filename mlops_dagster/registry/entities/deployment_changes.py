"""Changes of a deployment. Pure: each takes the present deployment and returns the next."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from mlops_dagster.errors import InvalidInputError, TransitionError
from mlops_dagster.registry.entities.entities import Deployment, EventKind
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.entities.stages import ALLOWED, Stage


class Move(NamedTuple):
    """A move of one version to another stage."""

    version: str
    to: Stage
    kind: EventKind = "transition"
    because: str = ""
    """The event of another version that caused the move; it precedes the reason of the change."""


class Change(NamedTuple):
    """The next deployment (`finalize` sets its epoch, previous champion and time), and the moves of versions for it."""

    deployment: Deployment
    moves: tuple[Move, ...]


def empty(model: str, at: datetime) -> Deployment:
    """Return the deployment of a model that has no champion yet."""
    return Deployment(model, 0, None, None, 0.0, (), "", None, at)


def enter(
    before: Deployment,
    version: str,
    origin: Stage,
    to: Stage,
    weight: float | None,
    watched: bool = False,
) -> Change:
    """Move `version` from `origin` to the stage `to`; a `watched` new champion keeps the old one as a shadow.

    Raises TransitionError, InvalidInputError.
    """
    if to not in ALLOWED[origin]:
        allowed = ", ".join(stage for stage in Stage if stage in ALLOWED[origin])
        raise TransitionError(f"{before.model} {version} is in {origin}: it may go to {allowed}, not to {to}")
    if weight is not None and to is not Stage.CANARY:
        raise InvalidInputError(f"only a canary has a weight; leave it out for {before.model} {version} to {to}")
    if to is Stage.PRODUCTION:
        return _make_champion(before, version, "transition", watched=watched)
    after = without(before, version)
    if to is Stage.SHADOW:
        after = replace(after, shadows=(*after.shadows, version))
    elif to is Stage.CANARY:
        after = _with_canary(after, version, weight)
    if after.canary is not None and after.champion is None:
        raise TransitionError(f"{before.model} needs a champion next to its canary {after.canary}; promote one first")
    return Change(after, (Move(version, to),))


def release(
    before: Deployment,
    candidate: str,
    origin: Stage,
    final: str,
    final_origin: Stage,
    watched: bool = False,
) -> Change:
    """Promote the pre-release `candidate` under its final version, and deprecate the pre-release."""
    enter(before, candidate, origin, Stage.PRODUCTION, None)
    change = enter(without(before, candidate), final, final_origin, Stage.PRODUCTION, None, watched)
    return Change(change.deployment, (*change.moves, Move(candidate, Stage.DEPRECATED, because=f"released as {final}")))


def reweigh(before: Deployment, weight: float) -> Deployment:
    """Set the weight of the running canary. Raises TransitionError if there is none."""
    if before.canary is None:
        raise TransitionError(f"{before.model} has no canary to weigh; put a version into Canary first")
    return replace(before, canary_weight=_checked(weight))


def withdraw(before: Deployment, version: str) -> Change:
    """Deprecate a version that was found bad. Raises TransitionError for the champion, which needs a successor."""
    if version == before.champion:
        raise TransitionError(f"{before.model} {version} is the champion; `rollback` puts another in its place")
    return Change(without(before, version), (Move(version, Stage.DEPRECATED, "rollback"),))


def roll_back(before: Deployment, to: str) -> Change:
    """Make `to` champion in place of one that was found bad."""
    return _make_champion(before, to, "rollback", watched=False)


def guard(before: Deployment, policy: GuardPolicy) -> Deployment:
    """Set the guard of requests to `policy`."""
    return replace(before, guard=policy)


def put_on_hold(before: Deployment, hold: Hold) -> Deployment:
    """Put the model on hold; a present hold stays, unless it is automatic and a person's hold replaces it."""
    if before.on_hold is not None and (hold.automatic or not before.on_hold.automatic):
        return before
    return replace(before, on_hold=hold)


def lift(before: Deployment, *, automatic: bool) -> Deployment:
    """Lift the hold; an `automatic` release lifts an automatic hold only."""
    if before.on_hold is None or (automatic and not before.on_hold.automatic):
        return before
    return replace(before, on_hold=None)


def finalize(
    before: Deployment, after: Deployment, champions: Sequence[str], bad: Collection[str], at: datetime
) -> Deployment:
    """Return `after` with its previous champion, and with the next epoch if anything differs from `before`.

    `champions` are all champions so far, the latest first; `bad` are the versions that were rolled back.
    """
    good = (version for version in champions if version != after.champion and version not in bad)
    after = replace(after, previous=next(good, None))
    return after if after == before else replace(after, epoch=before.epoch + 1, updated_at=at)


def without(deployment: Deployment, version: str) -> Deployment:
    """Return the deployment without `version` in any role."""
    if deployment.champion == version:
        deployment = replace(deployment, champion=None)
    if deployment.canary == version:
        deployment = replace(deployment, canary=None, canary_weight=0.0)
    return replace(deployment, shadows=tuple(shadow for shadow in deployment.shadows if shadow != version))


def _make_champion(before: Deployment, version: str, how_the_old_leaves: EventKind, *, watched: bool) -> Change:
    """Make `version` champion. A running canary goes back to Registered: it was measured against the old champion."""
    moves = [Move(version, Stage.PRODUCTION)]
    after = replace(without(before, version), champion=version, canary=None, canary_weight=0.0)
    if before.champion is not None:
        because = f"replaced by {version}" if how_the_old_leaves == "transition" else ""
        stage = Stage.SHADOW if watched else Stage.DEPRECATED
        moves.append(Move(before.champion, stage, how_the_old_leaves, because))
        if watched:
            after = replace(after, shadows=(*after.shadows, before.champion))
    if before.canary is not None and before.canary != version:
        moves.append(Move(before.canary, Stage.REGISTERED, because=f"{version} is champion now"))
    return Change(after, tuple(moves))


def _with_canary(deployment: Deployment, version: str, weight: float | None) -> Deployment:
    if deployment.canary is not None:
        raise TransitionError(
            f"{deployment.model} has the canary {deployment.canary} already; withdraw it or put it back first"
        )
    if weight is None:
        raise InvalidInputError(f"the canary {deployment.model} {version} needs a weight, e.g. weight=0.01 for 1 %")
    return replace(
        deployment,
        canary=version,
        canary_weight=_checked(weight),
        salt=_salt(deployment.model, version, deployment.epoch),
    )


def _salt(model: str, version: str, epoch: int) -> str:
    """Return a salt that differs for every canary, and is the same when history is replayed."""
    return hashlib.sha256(f"{model}/{version}/{epoch}".encode()).hexdigest()[:16]


def _checked(weight: float) -> float:
    if not 0 <= weight <= 1:
        raise InvalidInputError(f"the weight is a share of the traffic, 0 to 1, not {weight}")
    return float(weight)
