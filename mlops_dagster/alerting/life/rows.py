"""Conversions between alerts, their events, silences, and rows."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from mlops_dagster.alerting.alert import Acknowledgement, Alert, AlertEvent, EventKind, Reading, Severity
from mlops_dagster.alerting.life.silence import Silence
from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import reading_row

Record: TypeAlias = Mapping[str, Any]  # a row as SQLAlchemy returns it: values by column name

_WRITTEN_ANEW = "it is written anew when it is seen again"


def alert_row(alert: Alert) -> dict[str, object]:
    return {
        **asdict(alert),
        "severity": alert.severity.value,
        "reading": None if alert.reading is None else reading_text(alert.reading),
        "since": _optional_text(alert.since),
        "acted": None if alert.acted is None else json_text(alert.acted),
        "evidence": json_text(alert.evidence),
        "opened_at": time_text(alert.opened_at),
        "last_seen_at": time_text(alert.last_seen_at),
        "acknowledged": None if alert.acknowledged is None else _acknowledgement_text(alert.acknowledged),
        "resolved_at": _optional_text(alert.resolved_at),
    }


def alert_of(row: Record) -> Alert:
    """Return the alert of a row; raises UnreadableError."""
    with reading_row(f"the alert {row['id']} ({row['rule']} of {row['model']})", _WRITTEN_ANEW):
        return Alert(
            **{
                **row,
                "severity": Severity(row["severity"]),
                "reading": row["reading"] and _reading(json.loads(row["reading"])),
                "since": _optional_time(row["since"]),
                "acted": row["acted"] and json.loads(row["acted"]),
                "evidence": json.loads(row["evidence"]),
                "opened_at": parse_time(row["opened_at"]),
                "last_seen_at": parse_time(row["last_seen_at"]),
                "acknowledged": row["acknowledged"] and _acknowledgement(json.loads(row["acknowledged"])),
                "resolved_at": _optional_time(row["resolved_at"]),
            }
        )


def event_of(row: Record) -> AlertEvent:
    """Return the event of a row; raises UnreadableError."""
    with reading_row(f"the alert event {row['id']} ({row['kind']} of {row['model']})"):
        return AlertEvent(
            **{
                **row,
                "kind": EventKind(row["kind"]),
                "severity": Severity(row["severity"]),
                "evidence": json.loads(row["evidence"]),
                "at": parse_time(row["at"]),
                "recorded_at": parse_time(row["recorded_at"]),
                "alert": row["alert"] and alert_of(json.loads(row["alert"])),
            }
        )


def silence_of(row: Record) -> Silence:
    """Return the silence of a row; raises UnreadableError."""
    with reading_row(f"the silence {row['id']}"):
        return Silence(
            **{
                **row,
                "starts_at": parse_time(row["starts_at"]),
                "ends_at": parse_time(row["ends_at"]),
                "ended_at": _optional_time(row["ended_at"]),
            }
        )


def reading_text(reading: Reading) -> str:
    """Return the reading as JSON, its window in seconds."""
    window = None if reading.window is None else reading.window.total_seconds()
    return json_text(asdict(reading) | {"window": window})


def _reading(found: Record) -> Reading:
    window = found["window"]
    return Reading(**{**found, "window": None if window is None else timedelta(seconds=window)})


def _acknowledgement_text(acknowledged: Acknowledgement) -> str:
    return json_text(asdict(acknowledged) | {"at": time_text(acknowledged.at)})


def _acknowledgement(found: Record) -> Acknowledgement:
    return Acknowledgement(**{**found, "at": parse_time(found["at"])})


def _optional_text(time: datetime | None) -> str | None:
    return None if time is None else time_text(time)


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
