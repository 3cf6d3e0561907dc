"""The dashboard of the data plane: log, disk, batches, queues, processes, delivery of alerts."""

from typing import Final

from mlops_dagster.serving.telemetry.grafana.panel import Dashboard, lines, ratio

PLANE: Final = Dashboard(
    "plane",
    "Models: data plane",
    "The processes that answer: log, disk, batches, queues, workers.",
    (
        lines(
            "Log behind",
            "s",
            "Age of the oldest entry that is not in the log. The spool keeps it; over five minutes people are told.",
            ("mlops_spool_oldest_seconds", "{{instance}}"),
            limits=(300,),
        ),
        lines(
            "Free disk", "bytes", "Of the spool. At 0 every request fails.", ("mlops_spool_free_bytes", "{{instance}}")
        ),
        lines(
            "Requests in a batch",
            "none",
            "Requests of one version that were scored together: grows with the load, and costs no more.",
            (
                ratio(
                    "sum by (model, version) (rate(mlops_batch_requests_sum[5m]))",
                    "sum by (model, version) (rate(mlops_batch_requests_count[5m]))",
                ),
                "{{model}} {{version}}",
            ),
        ),
        lines(
            "Waiting requests",
            "none",
            "Requests that waited for the next batch when the last one ended.",
            ("mlops_waiting_requests", "{{model}} {{version}}"),
        ),
        lines(
            "Off-path queue",
            "none",
            "Scorings that wait off the response path; from 20,000 on they are left out.",
            ("mlops_off_path_queue", "{{instance}}"),
        ),
        lines(
            "Workers ready",
            "none",
            "Workers in which a version is loaded and warm.",
            ("mlops_version_ready", "{{model}} {{version}}"),
        ),
        lines(
            "Restarts",
            "none",
            "Processes that were started again, in the last hour.",
            ("sum by (instance, role) (increase(mlops_restarts_total[1h]))", "{{instance}} {{role}}"),
        ),
        lines(
            "Failed background work",
            "none",
            "Failed rounds in the last hour, by task.",
            ("sum by (task) (increase(mlops_background_failures_total[1h]))", "{{task}}"),
        ),
        lines(
            "Connections",
            "none",
            "Open connections, and those that the front door ended a minute.",
            ("mlops_connections", "{{instance}} open"),
            ("60 * sum by (reason) (rate(mlops_connections_dropped_total[5m]))", "ended: {{reason}}"),
        ),
        lines(
            "Registry away",
            "s",
            "Time since the registry could last be read; meanwhile the last known deployments are served.",
            ("max by (instance) (mlops_registry_away_seconds)", "{{instance}}"),
            limits=(300,),
        ),
        lines(
            "Versions cut off that the registry does not know of",
            "none",
            "Over 0 for a minute people are told.",
            ("max by (instance) (mlops_fuse_untold)", "{{instance}}"),
        ),
        lines(
            "Messages about alerts that wait",
            "none",
            "By channel; over ten minutes people are told by Prometheus.",
            ("sum by (channel) (mlops_outbox_waiting) or vector(0)", "{{channel}}"),
        ),
        lines(
            "Traces lost",
            "none",
            "Sampled traces that could not be exported, in the last hour.",
            ("sum by (instance) (increase(mlops_traces_lost_total[1h]))", "{{instance}}"),
        ),
    ),
)
