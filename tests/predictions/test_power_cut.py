"""What is answered survives a loss of power, where the settings say so."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.predictions.disks import Disk, a_disk
from tests.support.predictions.power import Said, answer_until_the_power_fails, look


@pytest.fixture(params=[True, False], ids=["the best disk there is", "a folder"])
def disk(request) -> Iterator[Disk]:
    """An ext4 that is shut down where we may mount one; and in any case the folder that stands for it elsewhere.

    Temporary files may be in memory, where nothing waits for the disk; those of /var/tmp are not.
    """
    with (
        tempfile.TemporaryDirectory(prefix="power-", dir="/var/tmp") as folder,  # a new folder in it
        a_disk(Path(folder, "power"), real=request.param) as found,
    ):
        yield found


def test_what_was_answered_survives_a_loss_of_power(disk):
    said = Said()
    answer_until_the_power_fails(disk, 0, "disk", said)
    assert said.predicted
    assert said.labelled
    assert look(disk, said, "disk") == 0
