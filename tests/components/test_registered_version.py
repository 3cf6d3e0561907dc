"""The last asset of a training run, in real runs of Dagster on a real registry."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pandas as pd

from mlops_dagster.components.assets.training import training_defs
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import Baseline, FairnessAudit, ModelCard, Provenance, Stage, Validation
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram
from mlops_dagster.tasks import Classification
from tests.support.servable import elsewhere

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = ModelSpec(
    model="my-model",
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="a"),
)
LABELS = Histogram.of(CategoricalBins(("no", "yes")), ["yes"])


def candidate(content: bytes) -> Candidate:
    return Candidate(
        artifact=content,
        schema=ModelSchema(
            features=(Feature(name="a", kind="categorical"),), task=Classification(classes=("no", "yes"))
        ),
        metrics={"accuracy": 0.5},
        evaluation=(),
        fairness=(FairnessAudit(attribute="a", groups={}, max_gap=0.0),),
        provenance=Provenance(dataset="made up", digest="d1", start=AT, end=AT, rows=1),
        baseline=Baseline({"a": LABELS}, LABELS, LABELS),
    )


def train(home: Path, content: bytes) -> tuple[str, dict[str, dg.MetadataValue]]:
    """Materialize `registered_version` alone; returns the run's id and the metadata."""
    upstream = {
        "training_set": TrainingSet(
            pd.DataFrame(),
            as_of=AT,
            trigger="drift",
            reason="psi",
            validation=Validation(suite="schema", expectations=1, rows=1, passed=True),
        ),
        "candidate": candidate(content),
        "model_card": ModelCard(intended_use="tests"),
    }

    def given(name: str) -> dg.AssetsDefinition:
        @dg.asset(key=key_of(SPEC, name))
        def stand_in() -> object:
            return upstream[name]

        return stand_in

    defs = training_defs(SPEC)
    (registered,) = [asset for asset in defs.assets or () if asset.key == key_of(SPEC, "registered_version")]
    resources = {"platform": Platform(home=str(home)), "io_manager": dg.mem_io_manager}
    with dg.DagsterInstance.local_temp(str(home)) as instance, elsewhere():  # the bytes are no model
        result = dg.materialize([registered, *map(given, upstream)], instance=instance, resources=resources)
        (found,) = result.asset_materializations_for_node("my_model__registered_version")
        assert instance.has_run(found.metadata["run"].value)
    return result.run_id, dict(found.metadata)


def test_a_version_and_its_materialization_tell_where_it_comes_from(tmp_path: Path) -> None:
    first_run, first = train(tmp_path, b"one")
    registry = Platform(home=str(tmp_path)).stores().registry
    version = registry.get("my-model", "1.0.0")
    origin = {"as_of": AT.isoformat(), "trigger": "drift", "reason": "psi"}
    assert version.lineage.items() >= {**origin, "dagster_run": first_run, "data": "d1"}.items()
    assert version.lineage.keys() >= {"commit", "dirty", "python", "environment"}
    assert "parent" not in version.lineage
    assert "dagster==" in registry.environment(version)
    assert first["run"] == dg.MetadataValue.dagster_run(first_run)
    assert first["lineage"] == dg.MetadataValue.json(dict(version.lineage))
    assert [first[key].value for key in ("version", "digest", "champion")] == ["1.0.0", version.digest, "none yet"]

    train(tmp_path, b"two")
    assert registry.get("my-model", "1.0.1").lineage["parent"] == "1.0.0"  # without a champion, the one before
    registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    _, third = train(tmp_path, b"three")
    assert registry.get("my-model", "1.0.2").lineage["parent"] == "1.0.0"
    assert third["champion"].value == "1.0.0"
