"""The gates that a version must pass before it may be champion."""

from typing import Annotated

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import (
    ApprovalError,
    IncompleteCardError,
    KnownBadError,
    QualityGateError,
    RefusedError,
    SignatureError,
    ValidationGateError,
)
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.entities import Event, ModelVersion


class GatePolicy(StrictModel):
    """The gates of one model: limits on the "overall" slice of the card, approvers, and a signature."""

    min_micro_f1: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="least micro-F1 on the held-out days. The default is for easy tasks; set the least value "
            "that is still useful: over the share of the commonest class, which takes no model, and under the "
            "interval that the first cards give, so that chance closes no gate",
        ),
    ] = 0.91
    approvers: tuple[str, ...] = ()
    """The people who may approve a version; if any are named, one of them must."""
    signature: bool = False
    """Requires a signature by the trusted key of the settings; without such a key no version passes."""


def failed_gates(
    version: ModelVersion,
    policy: GatePolicy,
    review: Event | None,
    unsigned: SignatureError | None,
    known_bad: KnownBadError | None,
) -> tuple[RefusedError, ...]:
    """Return an error for each closed gate, the gravest first.

    `review` is the last event about approval or the card; `unsigned` the error of the signature check, if it was made;
    `known_bad` the error that the same bytes were rolled back under another version.
    """
    name = f"{version.model} {version.version} may not enter production"
    card = version.card or ModelCard()
    found = (
        known_bad,
        _signature_gate(name, policy, unsigned),
        _card_gate(name, card),
        _validation_gate(name, card),
        _quality_gate(name, card, policy),
        _approval_gate(name, policy, review),
    )
    return tuple(error for error in found if error is not None)


def _signature_gate(name: str, policy: GatePolicy, unsigned: SignatureError | None) -> RefusedError | None:
    return SignatureError(f"{name}: {unsigned.message}") if policy.signature and unsigned else None


def _card_gate(name: str, card: ModelCard) -> RefusedError | None:
    missing = card.missing()
    if not missing:
        return None
    return IncompleteCardError(
        f"{name}: a complete model card is required, and {', '.join(missing)} is missing; attach a card that has it"
    )


def _validation_gate(name: str, card: ModelCard) -> RefusedError | None:
    found = card.validation
    if found is not None and found.passed:
        return None
    if found is None:
        return ValidationGateError(
            f"{name}: its card does not say what validated the training data; "
            "run a suite over it and put the result on the card as `validation`"
        )
    if found.errors and not found.failures:
        return ValidationGateError(
            f"{name}: the suite {found.suite} could not be evaluated on its training data ({'; '.join(found.errors)}); "
            "mend the suite, not the data, and train again"
        )
    return ValidationGateError(
        f"{name}: its training data failed the suite {found.suite} ({'; '.join(found.failures) or 'no rows'}); "
        "mend the data and train again"
    )


def _quality_gate(name: str, card: ModelCard, policy: GatePolicy) -> RefusedError | None:
    overall = card.overall
    micro_f1 = None if overall is None else overall.metrics.get("micro_f1")
    promise = f"{name}: the quality gate promises micro-F1 >= {policy.min_micro_f1:g}"
    if overall is None or micro_f1 is None:
        return QualityGateError(f"{promise}, and its card says nothing of it; attach a card that has it")
    if micro_f1 >= policy.min_micro_f1:
        return None
    interval = overall.intervals.get("micro_f1")
    between = "" if interval is None else f" (95 % interval {interval[0]:.4f} to {interval[1]:.4f})"
    return QualityGateError(
        f"{promise}, and its card says {micro_f1:.4f}{between}; train a better one, or set `gates.min_micro_f1` of "
        "this model to the least value that is still useful: over the share of the commonest class, under the interval "
        "of its cards"
    )


def _approval_gate(name: str, policy: GatePolicy, review: Event | None) -> RefusedError | None:
    if not policy.approvers:
        return None
    if review is not None and review.kind == "approved" and review.actor in policy.approvers:
        return None
    who = " or ".join(policy.approvers)
    if review is not None and review.kind == "rejected":
        return ApprovalError(f"{name}: {review.actor} rejected it ({review.reason}); answer that, and request anew")
    return ApprovalError(f"{name}: {who} must approve it with its present card; request that, and wait for the answer")
