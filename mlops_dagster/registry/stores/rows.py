"""Conversions between entities and rows."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import reading_row
from mlops_dagster.documents.strict import STORED
from mlops_dagster.registry.cards import ModelCard
from mlops_dagster.registry.entities.baseline import StoredBaseline
from mlops_dagster.registry.entities.entities import Deployment, Event, ModelVersion
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.schema import ModelSchema

_RESTORE = "`mlops audit verify` says whether the database was changed behind the registry; restore it from a backup"

Record = Mapping[str, Any]  # a row as SQLAlchemy returns it: values by column name


def version_row(version: ModelVersion) -> dict[str, object]:
    return {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "stage": version.stage.value,
        "rolled_back": version.rolled_back,
        "reason": version.reason,
        "created_at": time_text(version.created_at),
        "description": version.description,
        "schema": version.schema and version.schema.model_dump_json(),
        "card": version.card and version.card.model_dump_json(),
        "baseline": version.baseline and json_text(version.baseline.to_json()),
        "metrics": json_text(dict(version.metrics)),
        "tags": json_text(dict(version.tags)),
        "lineage": json_text(dict(version.lineage)),
        "signature": version.signature,
    }


def version_of(row: Record) -> ModelVersion:
    """Return the version of a row; raises UnreadableError. Its baseline is parsed at first use, and raises the same."""
    name = f"{row['model']} {row['version']}"
    with reading_row(f"the version {name}", _RESTORE):
        return ModelVersion(
            model=row["model"],
            version=row["version"],
            digest=row["digest"],
            stage=Stage(row["stage"]),
            created_at=parse_time(row["created_at"]),
            schema=row["schema"] and _schema(row["schema"]),
            card=row["card"] and _card(row["card"]),
            baseline=row["baseline"] and _baseline(row["baseline"], name),
            metrics=json.loads(row["metrics"]),
            tags=json.loads(row["tags"]),
            lineage=json.loads(row["lineage"]),
            description=row["description"],
            rolled_back=row["rolled_back"],
            reason=row["reason"],
            signature=row["signature"],
        )


# The largest parts of a row; the same texts are read again and again.
_baseline = functools.lru_cache(maxsize=256)(StoredBaseline)
_card = functools.lru_cache(maxsize=1024)(ModelCard.model_validate_json)
_guard = functools.lru_cache(maxsize=256)(GuardPolicy.model_validate_json)
_schema = functools.lru_cache(maxsize=256)(functools.partial(ModelSchema.model_validate_json, context=STORED))

_CHANGES = frozenset({"id", "stage", "rolled_back", "reason", "card"})
_CAME_LATER = frozenset({"signature"})  # the fingerprints of rows written before this column do not cover it


def fingerprint(row: Record) -> dict[str, object]:
    """Return the audit trail's fingerprint of a version's row: SHA-256 of artifact, card, and constant columns."""
    absent = {name for name in _CAME_LATER if row[name] is None}
    fixed = {name: value for name, value in row.items() if name not in _CHANGES | absent}
    return {
        "digest": row["digest"],
        "content": _sha256(json_text(fixed)),
        "card": None if row["card"] is None else _sha256(row["card"]),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def deployment_row(deployment: Deployment) -> dict[str, object]:
    return asdict(deployment) | {
        "shadows": json_text(deployment.shadows),
        "updated_at": time_text(deployment.updated_at),
        "guard": deployment.guard.model_dump_json(),
        "on_hold": deployment.on_hold and json_text(asdict(deployment.on_hold)),
    }


def deployment_of(row: Record) -> Deployment:
    """Return the deployment of a row; raises UnreadableError."""
    with reading_row(f"the deployment of {row['model']}", _RESTORE):
        return Deployment(
            **{
                **row,
                "shadows": tuple(json.loads(row["shadows"])),
                "updated_at": parse_time(row["updated_at"]),
                "guard": _guard(row["guard"]),
                "on_hold": row["on_hold"] and Hold(**json.loads(row["on_hold"])),
            }
        )


def event_of(row: Record) -> Event:
    """Return the event of a row; raises UnreadableError."""
    with reading_row(f"the event {row['id']} of {row['model']}", _RESTORE):
        return Event(
            **{
                **row,
                "from_stage": row["from_stage"] and Stage(row["from_stage"]),
                "to_stage": row["to_stage"] and Stage(row["to_stage"]),
                "evidence": json.loads(row["evidence"]),
                "at": parse_time(row["at"]),
                "recorded_at": parse_time(row["recorded_at"]),
                "deployment": deployment_of(json.loads(row["deployment"])),
            }
        )
