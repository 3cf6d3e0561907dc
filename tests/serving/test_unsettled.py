"""What waited off the response path in a process that was killed is counted as left out, once."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

from mlops_dagster.predictions import Spool
from mlops_dagster.serving.upkeep.unsettled import Unsettled, shed_of_the_dead

MINUTE = datetime(2026, 1, 1, tzinfo=UTC)
_KILLED = """
import os, sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from mlops_dagster.serving.upkeep.unsettled import Unsettled

unsettled = Unsettled(Path(sys.argv[1]), "worker")
paired = ("m", "1.1.0", "paired", 0.2, datetime(2026, 1, 1, tzinfo=UTC))
shadow = ("m", "1.2.0", "shadow", 0.2, datetime(2026, 1, 1, tzinfo=UTC))
unsettled.change(Counter({paired: 5, shadow: 7}), 1)
unsettled.change(Counter({shadow: 7}), -1)
print("waits", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_had_waiting_is_left_out_and_of_one_that_lives_nothing(tmp_path):
    spool = Spool(tmp_path / "spool.sqlite")
    alive = Unsettled(tmp_path, "another")
    alive.change(Counter({("m", "1.2.0", "shadow", 0.2, MINUTE): 1}), 1)
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"waits\n"
        shed_of_the_dead(tmp_path, spool)
        assert spool.read(0) == []
        worker.kill()
    for _ in range(2):
        shed_of_the_dead(tmp_path, spool)
        (entry,) = spool.read(0)
        assert entry.is_shed
        found = entry.shed()
        assert (found["version"], found["role"], found["weight"], found["shed"]) == ("1.1.0", "paired", 0.2, 5)
    alive.close()
    shed_of_the_dead(tmp_path, spool)
    assert list(tmp_path.glob(".unsettled-*")) == []
    assert len(spool.read(0)) == 1
