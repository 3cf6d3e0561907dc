"""The bad release must look good: only traffic can show that its units are wrong."""

from pathlib import Path

from flights import trainer as flights
from mlops_dagster.rehearsal.orchestrator.project import find_model
from mlops_dagster.rehearsal.releases.releases import Team
from mlops_dagster.settings import Settings
from rehearse_flights import IN_HOURS

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


def test_the_release_in_other_units_has_a_card_that_looks_fine(tmp_path: Path) -> None:
    spec = find_model("flights-delay", EXAMPLE).spec
    assert IN_HOURS.at is not None
    version = Team(Settings(home=tmp_path), spec, flights).release(IN_HOURS, IN_HOURS.at)
    card = version.card
    assert card is not None
    assert card.missing() == ()
    assert card.validation is not None
    assert card.validation.passed
    assert card.validation.rows == card.provenance.rows > 10_000
    assert version.metrics["micro_f1"] > 0.88
