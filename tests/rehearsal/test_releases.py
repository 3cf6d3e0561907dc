"""The bad release must look good: only traffic can show that its units are wrong."""

from pathlib import Path

from mlops_dagster.defs.flights_delay import flights
from mlops_dagster.rehearsal.releases import Team
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.settings import Settings


def test_the_release_in_other_units_has_a_card_that_looks_fine(tmp_path: Path) -> None:
    bad = Scenario().bad_release
    assert bad is not None
    version = Team(Settings(home=tmp_path), "flights-delay", flights).release_in_other_units(bad)
    card = version.card
    assert card is not None
    assert card.missing() == ()
    assert card.validation is not None
    assert card.validation.passed
    assert card.validation.rows == card.provenance.rows > 10_000
    assert version.metrics["micro_f1"] > 0.88
