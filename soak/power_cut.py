"""Power fails while predictions are answered, counted, shipped and tidied: with `disk` none is gone.

On an ext4 in a file that is shut down where the machine lets us mount one, else on a folder of which only that is kept
which was synced (tests/predictions/disks.py).
"""

import tempfile
import time
from pathlib import Path

from mlops_dagster.predictions.spool.sqlite import Durability
from tests.support.predictions.disks import a_disk
from tests.support.predictions.power import Said, answer_until_the_power_fails, look


def attack(seconds: float) -> None:
    """Cut the power again and again, on one home for each durability."""
    end = time.monotonic() + seconds
    kinds: tuple[Durability, ...] = ("disk", "process")
    for number, durability in enumerate(kinds, 1):
        until = end - seconds * (len(kinds) - number) / len(kinds)
        with tempfile.TemporaryDirectory() as folder, a_disk(Path(folder, "power")) as disk:
            said, cuts, lost = Said(), 0, 0
            while cuts == 0 or time.monotonic() < until:
                answer_until_the_power_fails(disk, cuts, durability, said)
                lost = look(disk, said, durability)
                cuts += 1
            print(
                f"{cuts} losses of power on a {type(disk).__name__} with durability {durability}: {lost:,} of "
                f"{len(said.predicted):,} answered predictions and {len(said.labelled):,} labels are gone"
            )
