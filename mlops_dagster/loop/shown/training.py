"""The steps of a training: its set, the candidate, the model card, and the registered version."""

import re
from collections.abc import Mapping

from mlops_dagster.loop.judging.findings import outcome_of
from mlops_dagster.loop.shown.entries import Data, Entries, Markdown, RunLink, Table, links_to
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationResult
from mlops_dagster.registry import PAIRED, ModelCard, ModelVersion
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.policy import RetrainDecision
from mlops_dagster.retraining.trainer import TrainingSet
from mlops_dagster.tasks import QualityLimits


def decision_tags(found: RetrainDecision) -> dict[str, str]:
    """Return the tags by which the list of runs shows the decision to retrain, under names that Dagster allows.

    >>> decision_tags(RetrainDecision(True, "drift", "temp has moved", {"PSI of temp": "0.4"}))
    {'mlops/trigger': 'drift', 'mlops/reason': 'temp has moved', 'mlops/PSI_of_temp': '0.4'}
    """
    numbers = {f"mlops/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:50]}": value for name, value in found.numbers.items()}
    return {"mlops/trigger": found.trigger or "", "mlops/reason": found.reason, **numbers}


def training_set_entries(spec: ModelSpec, rows: TrainingSet, found: ValidationResult) -> Entries:
    """Return the trigger of the training, its rows by class, and their validation."""
    # A set without labels fails its suite, and the suite's failure names the missing column.
    shares = dict(rows.frame["label"].value_counts(normalize=True)) if "label" in rows.frame else {}
    return {
        "trigger": rows.trigger,
        "reason": rows.reason,
        "as_of": rows.as_of.isoformat(),
        "window": f"{spec.training.window_days} days",
        "validation": outcome_of(found),
        **_numbers(rows.numbers),
        "classes": Table([{"class": str(label), "share": share} for label, share in shares.items()]),
        "rows": len(rows.frame),
    }


def candidate_entries(spec: ModelSpec, found: Candidate) -> Entries:
    """Return the evaluation of a candidate next to its gate and the champion."""
    effect = found.baseline.design_effects.get(PAIRED)
    rows, gates = found.evaluation[0].rows, found.schema.task.least(spec.gates)
    return {
        "evaluation": "; ".join(
            f"{least.heading} {found.metrics[least.measure]:.4f} on {rows:,} rows; the gate asks for {least.value:g}"
            for least in gates
        ),
        "beside_champion": found.shared_days or "There is no champion yet to be compared with.",
        **({"unjudged": Table.of("doubt", found.unjudged)} if found.unjudged else {}),
        **{name: round(value, 4) for name, value in found.metrics.items()},
        "evaluated_rows": rows,
        **({} if effect is None else {"rows_per_observation": round(effect.of_many_blocks, 2)}),
        "digest": found.digest,
        **links_to(spec.model, card="model_card"),
    }


def card_entries(spec: ModelSpec, card: ModelCard, candidate: Candidate) -> Entries:
    """Return the model card, and the parts of it that people look for."""
    intervals = candidate.evaluation[0].intervals
    return {
        "state": f"incomplete: {', '.join(card.missing())}" if card.missing() else "complete",
        "card": Markdown(card.to_markdown()),
        "intended_use": card.intended_use,
        "failure_modes": Table.of("failure mode", card.failure_modes),
        "can_prove": Table.of("what the daily checks can prove", () if card.provable is None else card.provable.lines),
        **({"regimes": Table.of("regime", card.regimes)} if card.regimes else {}),
        "fairness_gaps": Table([{"attribute": audit.attribute, **audit.gaps} for audit in card.fairness]),
        **{
            f"{least.measure}_interval": " to ".join(f"{end:.4f}" for end in intervals[least.measure])
            for least in candidate.schema.task.least(QualityLimits())
            if least.measure in intervals
        },
        **links_to(spec.model, version="registered_version"),
    }


def version_entries(rows: TrainingSet, version: ModelVersion, champion: ModelVersion | None, run: str) -> Entries:
    """Return a registered version, its origin with the run, and the champion at the time."""
    return {
        "version": version.version,
        "trigger": rows.trigger,
        "reason": rows.reason,
        "champion": "none yet" if champion is None else champion.version,
        "stage": version.stage.value,
        "card_page": f"mlops models card {version.model} {version.version} --html card.html",
        "digest": version.digest,
        "as_of": rows.as_of.isoformat(),
        **_numbers(rows.numbers),
        **{name: round(value, 4) for name, value in version.metrics.items()},
        "signed": version.signature is not None,
        "lineage": Data(dict(version.lineage)),
        **links_to(version.model, card="model_card", deployment="deployment"),
        "run": RunLink(run),
    }


def _numbers(trigger: Mapping[str, str]) -> Entries:
    """Return the numbers that triggered a retraining, a row for each; nothing if there are none."""
    rows = [{"number": name, "value": value} for name, value in trigger.items()]
    return {"trigger_numbers": Table(rows)} if rows else {}
