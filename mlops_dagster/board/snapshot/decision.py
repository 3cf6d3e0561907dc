"""One decision of a rollout: its arithmetic, its replay to the bit, and its replay under another policy."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from mlops_dagster.board.snapshot.entities import ArmCounts, ExplainedDecision, ImaginedLook, PolicyField
from mlops_dagster.board.snapshot.sections.proofs import proofs
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.links.dagster import asset_page
from mlops_dagster.loop.shown.rollouts import BY, answered, label_debt, labels_in_words, place
from mlops_dagster.rollout import Decision, RolloutPolicy
from mlops_dagster.rollout.replay import imagine, replay, untold
from mlops_dagster.stores import Stores

_NO_CHANGES: Final[Mapping[str, str]] = {}


def explain(stores: Stores, decision_id: int, changes: Mapping[str, str] = _NO_CHANGES) -> ExplainedDecision:
    """Return a recorded decision with all that it rests on.

    Args:
        stores: the stores of the home.
        decision_id: the number of the decision.
        changes: fields of the rollout policy with other values, as JSON or plain text: the rollout is replayed under
            the policy that has them, from its first decision up to this one.

    Raises:
        RolloutNotFoundError: for an unknown decision.
        UnreadableError: if it cannot be read.
        InvalidPolicyError: if the changes make no policy.
    """
    found = stores.rollouts.decision(decision_id)
    history = stores.rollouts.decisions(found.rollout.id)
    rollout, evidence = found.rollout, found.evidence
    other = changed_policy(rollout.policy, changes)
    earlier = [each for each in history if each.id <= decision_id]
    looks = [] if other == rollout.policy else _looks(other, earlier)
    dagster = stores.settings.dagster_url
    return ExplainedDecision(
        id=found.id,
        rollout=rollout.id,
        model=rollout.model,
        challenger=rollout.challenger,
        champion=rollout.champion,
        at=found.at,
        recorded_at=found.recorded_at,
        outcome=found.outcome.value,
        reason=found.reason,
        by=BY[found.origin],
        stood_at=place(rollout),
        step_at=rollout.step_at,
        deadline=rollout.deadline(found.at),
        labels=labels_in_words(evidence.labels),
        without_label=tuple(label_debt(rollout.policy, evidence).items()),
        proofs=proofs(found),
        arms=tuple(
            ArmCounts(
                share, arm, its.requests, its.errors, its.slow, its.labelled, its.wrong, without_label=its.unlabelled
            )
            for share, arm, its in answered(evidence)
        ),
        differences=replay(found).differences,
        policy=_fields(rollout.policy, other),
        looks=tuple(looks),
        parts_at=next((each.decision for each in looks if each.decided != each.would_decide), None),
        caveats=untold(rollout.policy, other) if looks else (),
        previous=earlier[-2].id if len(earlier) > 1 else None,
        next=next((each.id for each in history if each.id > decision_id), None),
        commands=(
            f"mlops rollouts explain {found.id}",
            f"mlops rollouts replay {found.id}",
            f"mlops rollouts replay {found.id} --policy FILE",
        ),
        dagster=None if dagster is None else asset_page(dagster, rollout.model, "deployment"),
    )


def changed_policy(policy: RolloutPolicy, changes: Mapping[str, str]) -> RolloutPolicy:
    """Return the policy with other values of some fields. Raises InvalidPolicyError.

    >>> changed_policy(RolloutPolicy(), {"steps": "[0.1, 0.5]", "at_deadline": "give_up"}).steps
    (0.1, 0.5)
    """
    document = policy.model_dump(mode="json") | {name: _value(text) for name, text in changes.items()}
    try:
        return RolloutPolicy.model_validate(document)
    except ValidationError as error:
        raise InvalidPolicyError(f"that is not a rollout policy: {fields_of(error)}; change it") from error


def _value(text: str) -> object:
    """Return the value of a text that is JSON, or else the text itself."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def _looks(other: RolloutPolicy, decisions: Sequence[Decision]) -> list[ImaginedLook]:
    return [
        ImaginedLook(
            decision=each.stored.id,
            at=each.stored.at,
            decided=each.stored.outcome.value,
            would_decide=each.imagined.outcome.value,
            would_stand_at=place(each.imagined.rollout),
            certain=each.certain,
            reason=each.imagined.reason,
        )
        for each in imagine(other, decisions)
    ]


def _fields(policy: RolloutPolicy, other: RolloutPolicy) -> tuple[PolicyField, ...]:
    values, others = policy.model_dump(mode="json"), other.model_dump(mode="json")
    return tuple(
        PolicyField(name, json.dumps(values[name]), json.dumps(others[name]), each.description or "")
        for name, each in RolloutPolicy.model_fields.items()
    )
