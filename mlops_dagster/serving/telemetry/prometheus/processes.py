"""Alerts about processes, disks and watchers; the quality of models is judged by our own rules, never here."""

from mlops_dagster.serving.telemetry.prometheus.rule import Group, Rule, alert


def processes(docs: str | None) -> list[Group]:
    """Return the alerts about the data plane's processes; `docs` as for `runbook`."""
    return [
        Group(name="mlops serving", rules=_serving(docs)),
        Group(name="mlops upkeep", rules=_upkeep(docs)),
        Group(name="mlops watchers", rules=_watchers(docs)),
    ]


def _serving(docs: str | None) -> list[Rule]:
    return [
        alert(
            "MlopsDataPlaneDown",
            "critical",
            "1m",
            'up{job="mlops"} == 0 or absent(up{job="mlops"})',
            "the data plane {{ $labels.instance }} cannot be scraped",
            docs=docs,
        ),
        alert(
            "MlopsModelNotServed",
            "critical",
            "2m",
            "mlops_deployment_epoch unless on (model, instance) (sum by (model, instance) (mlops_version_ready) > 0)",
            "no version of {{ $labels.model }} is loaded in {{ $labels.instance }}",
            docs=docs,
        ),
        alert(
            "MlopsFuseTripped",
            "info",
            "0s",
            "sum by (model, version) (increase(mlops_fuse_trips_total[15m])) > 0",
            "the fuse has cut off {{ $labels.model }} {{ $labels.version }}",
            docs=docs,
        ),
        alert(
            "MlopsFuseUntold",
            "critical",
            "1m",
            "max by (instance) (mlops_fuse_untold) > 0",
            "the fuse of {{ $labels.instance }} has cut off a version, and the registry cannot be told",
            docs=docs,
        ),
        alert(
            "MlopsLoadFailures",
            "warning",
            "0s",
            "sum by (model, version) (increase(mlops_version_load_failures_total[15m])) > 0",
            "{{ $labels.model }} {{ $labels.version }} cannot be loaded",
            docs=docs,
        ),
        alert(
            "MlopsRegistryAway",
            "warning",
            "1m",
            "max by (instance) (mlops_registry_away_seconds) > 300",
            "{{ $labels.instance }} serves the last known deployments: the registry cannot be read",
            docs=docs,
        ),
        alert(
            "MlopsRestarts",
            "warning",
            "0s",
            "sum by (instance, role) (increase(mlops_restarts_total[15m])) > 2",
            "processes of {{ $labels.instance }} ({{ $labels.role }}) were started again more than twice",
            docs=docs,
        ),
        alert(
            "MlopsMemoryNearLimit",
            "warning",
            "10m",
            "sum by (instance) (mlops_process_resident_memory_bytes) "
            "> 0.9 * max by (instance) (mlops_memory_limit_bytes)",
            "{{ $labels.instance }} uses more than 90 % of the memory that it may use",
            docs=docs,
        ),
    ]


def _upkeep(docs: str | None) -> list[Rule]:
    return [
        alert(
            "MlopsLogBehind",
            "warning",
            "5m",
            "max by (instance) (mlops_spool_oldest_seconds) > 300",
            "{{ $labels.instance }}: the log is {{ $value | humanizeDuration }} behind; the spool keeps what it lacks",
            docs=docs,
        ),
        alert(
            "MlopsDiskFull",
            "critical",
            "5m",
            "min by (instance) (mlops_spool_free_bytes) < 2e9 "
            "or min by (instance) (predict_linear(mlops_spool_free_bytes[1h], 4 * 3600)) < 0",
            "{{ $labels.instance }}: the disk of the spool is full, or within four hours; then nothing is answered",
            docs=docs,
        ),
        alert(
            "MlopsShed",
            "warning",
            "0s",
            "sum by (model, version, role) (increase(mlops_shed_total[15m])) > 0",
            "scorings of {{ $labels.model }} {{ $labels.version }} ({{ $labels.role }}) were left out: "
            "evidence is missing",
            docs=docs,
        ),
        alert(
            "MlopsBackgroundFailures",
            "warning",
            "5m",
            "sum by (instance, task) (increase(mlops_background_failures_total[10m])) > 3",
            "{{ $labels.instance }}: background work fails ({{ $labels.task }})",
            docs=docs,
        ),
        alert(
            "MlopsTracesLost",
            "info",
            "0s",
            "sum by (instance) (increase(mlops_traces_lost_total[15m])) > 0",
            "{{ $labels.instance }} could not export all traces",
            docs=docs,
        ),
    ]


def _watchers(docs: str | None) -> list[Rule]:
    return [
        alert(
            "MlopsBeatStale",
            "critical",
            "1m",
            "time() - max by (name, model) (mlops_beat_time_seconds) "
            "> clamp_min(3 * max by (name, model) (mlops_beat_every_seconds), 270)",
            "{{ $labels.name }} {{ $labels.model }} has not succeeded for {{ $value | humanizeDuration }}",
            docs=docs,
        ),
        alert(
            "MlopsNoBeats",
            "critical",
            "5m",
            'absent(mlops_beat_time_seconds) and on () count(up{job="mlops"} == 1)',
            "no data plane tells whether the watchers work",
            docs=docs,
        ),
        alert(
            "MlopsOutboxStuck",
            "critical",
            "1m",
            "max by (channel) (mlops_outbox_oldest_seconds) > 600",
            "alerts wait for the channel {{ $labels.channel }} for {{ $value | humanizeDuration }}",
            docs=docs,
        ),
        # Always fires: a heartbeat outside tells people when it stops (deploy/alertmanager).
        alert("MlopsDeadMan", "none", "0s", "vector(1)", "Prometheus evaluates rules", docs=docs),
    ]
