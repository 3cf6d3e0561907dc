"""`mlops alerts test`, `outbox` and `retry`: whether people are told, and what could not be told yet."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import NONE, hint, minute, print_json, right, say, table
from mlops_dagster.cli.running import open_stores
from mlops_dagster.documents.texts import counted

if TYPE_CHECKING:
    from mlops_dagster.alerting.delivery.entry import Entry


def test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="name of the channel in MLOPS_CHANNELS")],
) -> None:
    """Send a test alert to a channel, and its end; exit code 1 says why it does not arrive."""
    stores = open_stores()
    stores.try_channel(channel)
    say(f"{channel} took a test alert, and its end")
    for gap in stores.routing_gaps():
        hint(gap)


def outbox(
    everything: Annotated[bool, typer.Option("--all", help="also what was sent or superseded")] = False,
    json: Json = False,
) -> None:
    """List the messages that wait for their channel, and those that were given up."""
    from mlops_dagster.alerting.delivery.entry import State

    states = list(State) if everything else [State.WAITING, State.DEAD]
    found = open_stores().letters.list(states)
    if json:
        print_json([_document(each) for each in found])
        return
    table(
        (right("message"), "channel", "state", "since (UTC)", right("tries"), "next try (UTC)", "what", "last error"),
        [
            (
                str(each.id),
                each.channel,
                each.state.value,
                minute(each.enqueued_at),
                str(each.attempts),
                minute(each.next_at) if each.state is State.WAITING else NONE,
                f"{each.action}: {each.message.title}",
                each.error or NONE,
            )
            for each in found
        ],
    )
    if any(each.state is State.DEAD for each in found):
        hint("`mlops alerts retry` sends those that were given up, once their channel is mended")


def retry(
    channel: Annotated[str | None, typer.Option(help="only messages to this channel")] = None, json: Json = False
) -> None:
    """Let messages that were given up wait again, and all that wait be tried at once."""
    count = open_stores().letters.retry(channel)
    if json:
        print_json({"messages": count})
    else:
        say(f"{counted(count, 'messages')} will be tried within seconds, while a data plane or Dagster's daemon runs")


def _document(entry: "Entry") -> dict[str, object]:
    return {**asdict(entry), "message": entry.message.model_dump(mode="json")}
