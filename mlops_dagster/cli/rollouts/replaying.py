"""`mlops rollouts replay`: a decision made again from its stored inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import hint, minute, print_json, right, say, table
from mlops_dagster.cli.rollouts.choosing import DecisionId, OfRollout, history
from mlops_dagster.cli.running import attributes_of, open_stores
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.loop.shown.rollouts import place

if TYPE_CHECKING:
    from mlops_dagster.rollout import Decision, RolloutPolicy
    from mlops_dagster.rollout.replay import Imagined, Replay


def replay(
    decision: DecisionId = None,
    rollout: OfRollout = None,
    policy: Annotated[
        Path | None, typer.Option(help="YAML of another policy: replay the history up to that decision under it")
    ] = None,
    json: Json = False,
) -> None:
    """Decide again from the stored inputs; exit code 1 if the result differs. Of a rollout: every decision."""
    found = history(open_stores().rollouts, decision, rollout)
    if policy is not None:
        _what_if(read_policy(policy), found, json)
        return
    _again(found if decision is None else found[-1:], json)


def read_policy(file: Path) -> "RolloutPolicy":
    """Read a rollout policy, bare or from a `defs.yaml`. Raises InvalidPolicyError."""
    from pydantic import ValidationError

    from mlops_dagster.rollout import RolloutPolicy

    document = attributes_of(file)
    if isinstance(document, dict) and "rollout" in document:
        document = document["rollout"]
    try:
        return RolloutPolicy.model_validate(document)
    except ValidationError as error:
        raise InvalidPolicyError(f"{file} is not a rollout policy: {fields_of(error)}; mend that") from error


def _again(decisions: "Sequence[Decision]", json: bool) -> None:
    from mlops_dagster.rollout.replay import replay

    replays = [replay(each) for each in decisions]
    if json:
        print_json([_replay_document(each) for each in replays])
    else:
        table(
            (right("id"), "at (UTC)", "stood at", "outcome", "again"),
            [
                (
                    str(each.stored.id),
                    minute(each.stored.at),
                    place(each.stored.rollout),
                    each.stored.outcome.value,
                    "; ".join(each.differences) or "the same to the bit",
                )
                for each in replays
            ],
        )
    if any(each.differences for each in replays):
        raise typer.Exit(1)


def _what_if(policy: "RolloutPolicy", decisions: "Sequence[Decision]", json: bool) -> None:
    from mlops_dagster.rollout.replay import imagine, untold

    looks = list(imagine(policy, decisions))
    caveats = untold(decisions[0].rollout.policy, policy)
    if json:
        print_json({"looks": [_look_document(each) for each in looks], "untold": caveats})
        return
    table(
        (right("id"), "at (UTC)", "decided", "would stand at", "would decide", "known", "why"),
        [
            (
                str(each.stored.id),
                minute(each.stored.at),
                each.stored.outcome.value,
                place(each.imagined.rollout),
                each.imagined.outcome.value,
                "surely" if each.certain else "roughly",
                each.imagined.reason,
            )
            for each in looks
        ],
    )
    first = next((each for each in looks if not each.same), None)
    if first is None:
        say("It would have decided the same at every look that was kept.")
    else:
        say(f"It parts from what was decided at decision {first.stored.id}.")
    for caveat in caveats:
        hint(f"not told by this history: {caveat}")


def _replay_document(each: "Replay") -> dict[str, object]:
    return {
        "id": each.stored.id,
        "at": each.stored.at,
        "outcome": each.stored.outcome.value,
        "same": not each.differences,
        "differences": each.differences,
    }


def _look_document(each: "Imagined") -> dict[str, object]:
    return {
        "id": each.stored.id,
        "at": each.stored.at,
        "outcome": each.stored.outcome.value,
        "would_be": each.imagined.outcome.value,
        "step": each.imagined.rollout.step,
        "reason": each.imagined.reason,
        "certain": each.certain,
    }
