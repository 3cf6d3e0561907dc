"""docs/tutorial/: its commands, as they stand; `python -m bench.tutorial` runs all of them, on all three tables."""

from pathlib import Path

import pytest

from bench.tutorial import CHAMPION, DOCUMENT, PROJECT, REHEARSED, SERVED, census, play, sections


@pytest.mark.timeout(600)  # Dagster starts five times
def test_a_bad_release_of_a_model_made_by_the_commands_alone_is_rolled_back(tmp_path: Path) -> None:
    played = play(tmp_path, census(a_day=250, days=12), (PROJECT, REHEARSED))
    summary = played.summary
    assert "All definitions loaded successfully" in played.said
    assert "always the same answers: promote" in played.said
    assert summary["failed_runs"] == 0
    assert len(summary["promotions"]) == 1
    fates = {bad["what"]: bad["fate"].split(":")[0] for bad in summary["bad_releases"]}
    assert next(iter(fates.values())) == "rolled back", fates
    assert summary["rollbacks"]


def test_every_section_that_is_run_has_commands() -> None:
    found = sections(DOCUMENT.read_text())
    assert all(found[title] for title in (PROJECT, CHAMPION, SERVED, REHEARSED))
