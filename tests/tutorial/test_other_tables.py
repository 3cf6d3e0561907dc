"""The tutorial's commands on two tables unlike its own: nameless floats with late labels, and a class of 1 in 100."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.tutorial import PROJECT, REHEARSED, cards, play, stream


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(lambda: cards(a_day=1000, days=6), id="cards"),
        pytest.param(lambda: stream(a_day=1000, days=8), id="stream"),
    ],
)
def test_a_bad_release_is_rolled_back_by_the_commands_alone(tmp_path: Path, table: Callable[[], pd.DataFrame]) -> None:
    summary = play(tmp_path, table(), (PROJECT, REHEARSED)).summary
    assert summary["failed_runs"] == 0
    assert summary["promotions"]
    fates = {bad["what"]: bad["fate"].split(":")[0] for bad in summary["bad_releases"]}
    assert "rolled back" in fates.values(), fates
