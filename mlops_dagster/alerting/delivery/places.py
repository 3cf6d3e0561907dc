"""The places at which a channel has opened an alert: its entry in the file of channels may have changed since.

PagerDuty takes the end of an incident only by the key that opened it, and an issue is closed in its own repository. So
receipts keep the place, and the end of an alert that is open at another place is a matter for people.
"""

from collections.abc import Sequence
from typing import Final

from mlops_dagster.alerting.channels.channel import Receipt
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.delivery.entry import Entry

_PLACE: Final = "place"
_LEFT: Final = "left"


def receipt_at(place: str, earlier: Entry | None) -> Receipt | None:
    """Return the receipt of an earlier message, from which its channel goes on; None if it was told elsewhere."""
    if earlier is None or earlier.receipt is None or earlier.receipt.get(_PLACE, place) != place:
        return None
    return earlier.receipt


def left_open(alert: int | None, place: str, earlier: Entry | None) -> Sequence[str]:
    """Return the other places at which the alert is open, as the last message about its key has left it."""
    if earlier is None or earlier.receipt is None or earlier.alert != alert:
        return []
    before, left = earlier.receipt.get(_PLACE, place), earlier.receipt.get(_LEFT, [])
    found = [*left, *([] if earlier.asked is Action.RESOLVE else [before])]
    return [each for each in found if each != place]


def with_place(receipt: Receipt, place: str, left: Sequence[str]) -> Receipt:
    """Return a receipt with its place, and with those at which the alert is still open."""
    return {**receipt, _PLACE: place, **({_LEFT: list(left)} if left else {})}
