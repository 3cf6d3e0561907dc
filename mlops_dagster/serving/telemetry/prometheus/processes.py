"""Alerts about processes, disks and watchers; the quality of models is judged by our own rules, never here."""

from collections.abc import Sequence
from typing import Final

from mlops_dagster.serving.telemetry.prometheus.rule import Group, Severity, alert


def processes(docs: str | None) -> list[Group]:
    """Return the alerts about the data plane's processes; `docs` as for `runbook`."""
    groups = {"mlops serving": _SERVING, "mlops upkeep": _UPKEEP, "mlops watchers": _WATCHERS}
    return [Group(name=name, rules=[alert(*each, docs=docs) for each in alerts]) for name, alerts in groups.items()]


_Alerts = Sequence[tuple[str, Severity, str, str, str]]
"""Name, severity, waiting time, expression and summary of alerts."""

_SERVING: Final[_Alerts] = (
    (
        "MlopsDataPlaneDown",
        "critical",
        "1m",
        'up{job="mlops"} == 0 or absent(up{job="mlops"})',
        "the data plane{{ with $labels.instance }} {{ . }}{{ end }} cannot be scraped",
    ),
    (
        "MlopsModelNotServed",
        "critical",
        "2m",
        "mlops_deployment_epoch unless on (model, instance) (sum by (model, instance) (mlops_version_ready) > 0)",
        "no version of {{ $labels.model }} is loaded in {{ $labels.instance }}",
    ),
    (
        "MlopsFuseTripped",
        "info",
        "0s",
        "sum by (model, version) (increase(mlops_fuse_trips_total[15m])) > 0",
        "the fuse has cut off {{ $labels.model }} {{ $labels.version }}",
    ),
    (
        "MlopsFuseUntold",
        "critical",
        "1m",
        "max by (instance) (mlops_fuse_untold) > 0",
        "the fuse of {{ $labels.instance }} has cut off a version, and the registry cannot be told",
    ),
    (
        "MlopsLoadFailures",
        "warning",
        "0s",
        "sum by (model, version) (increase(mlops_version_load_failures_total[15m])) > 0",
        "{{ $labels.model }} {{ $labels.version }} cannot be loaded",
    ),
    (
        "MlopsRegistryAway",
        "warning",
        "1m",
        "max by (instance) (mlops_registry_away_seconds) > 300",
        "{{ $labels.instance }} serves the last known deployments: the registry cannot be read",
    ),
    (
        "MlopsRestarts",
        "warning",
        "0s",
        "sum by (instance, role) (increase(mlops_restarts_total[15m])) > 2",
        "processes of {{ $labels.instance }} ({{ $labels.role }}) were started again more than twice",
    ),
    (
        "MlopsMemoryNearLimit",
        "warning",
        "10m",
        "sum by (instance) (mlops_process_resident_memory_bytes) > 0.9 * max by (instance) (mlops_memory_limit_bytes)",
        "{{ $labels.instance }} uses more than 90 % of the memory that it may use",
    ),
)


_UPKEEP: Final[_Alerts] = (
    (
        "MlopsLogBehind",
        "warning",
        "5m",
        "max by (instance) (mlops_spool_oldest_seconds) > 300",
        "{{ $labels.instance }}: the log is {{ $value | humanizeDuration }} behind; the spool keeps what it lacks",
    ),
    (
        "MlopsDiskFull",
        "critical",
        "5m",
        (
            "min by (instance) (mlops_spool_free_bytes) < 2e9 "
            "or min by (instance) (predict_linear(mlops_spool_free_bytes[1h], 4 * 3600)) < 0"
        ),
        "{{ $labels.instance }}: the disk of the spool is full, or within four hours; then nothing is answered",
    ),
    (
        "MlopsShed",
        "warning",
        "0s",
        "sum by (model, version, role) (increase(mlops_shed_total[15m])) > 0",
        "scorings of {{ $labels.model }} {{ $labels.version }} ({{ $labels.role }}) were left out: evidence is missing",
    ),
    (
        "MlopsBackgroundFailures",
        "warning",
        "5m",
        "sum by (instance, task) (increase(mlops_background_failures_total[10m])) > 3",
        "{{ $labels.instance }}: background work fails ({{ $labels.task }})",
    ),
    (
        "MlopsTracesLost",
        "info",
        "0s",
        "sum by (instance) (increase(mlops_traces_lost_total[15m])) > 0",
        "{{ $labels.instance }} could not export all traces",
    ),
)


_WATCHERS: Final[_Alerts] = (
    (
        "MlopsBeatStale",
        "critical",
        "1m",
        (
            "time() - max by (name, model) (mlops_beat_time_seconds) "
            "> clamp_min(3 * max by (name, model) (mlops_beat_every_seconds), 270)"
        ),
        (
            "{{ $labels.name }}{{ with $labels.model }} of {{ . }}{{ end }} has not succeeded "
            "for {{ $value | humanizeDuration }}"
        ),
    ),
    (
        "MlopsNoBeats",
        "critical",
        "5m",
        'absent(mlops_beat_time_seconds) and on () count(up{job="mlops"} == 1)',
        "no data plane tells whether the watchers work",
    ),
    (
        "MlopsOutboxStuck",
        "critical",
        "1m",
        "max by (channel) (mlops_outbox_oldest_seconds) > 600",
        "alerts wait for the channel {{ $labels.channel }} for {{ $value | humanizeDuration }}",
    ),
    # Always fires: a heartbeat outside tells people when it stops (deploy/alertmanager).
    ("MlopsDeadMan", "none", "0s", "vector(1)", "Prometheus evaluates rules"),
)
