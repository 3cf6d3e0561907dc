"""The dashboard of the whole fleet."""

from typing import Final

from mlops_dagster.serving.telemetry.grafana.panel import ANSWERED, Dashboard, lines, number

FLEET: Final = Dashboard(
    "fleet",
    "Models: fleet",
    "All models: traffic, errors, budgets, alerts and watchers.",
    (
        number(
            "Models served",
            "none",
            "Models with a deployment in force.",
            "count(max by (model) (mlops_deployment_epoch))",
        ),
        number(
            "Open alerts",
            "none",
            "Alerts of the models and of the platform that nobody has acknowledged; `mlops alerts list` has them.",
            'sum(mlops_alert{state="firing"}) or vector(0)',
        ),
        number(
            "Versions by stage",
            "none",
            "Versions that are not deprecated.",
            "count by (stage) (mlops_version_info)",
            "{{stage}}",
        ),
        number(
            "Oldest beat",
            "s",
            "Time since the last success of the watcher that is silent for longest. Over five minutes nobody watches.",
            "max(time() - mlops_beat_time_seconds)",
        ),
        lines(
            "Requests per minute",
            "reqpm",
            "Requests of clients. Scorings off the response path are not in it.",
            ("60 * model:mlops_requests:rate5m", "{{model}}"),
        ),
        lines(
            "P99",
            "s",
            "99th percentile from receipt to durable record. The platform's own alert p99_ms has limits by model.",
            (
                f"histogram_quantile(0.99, sum by (model, le) (rate(mlops_request_seconds_bucket{{{ANSWERED}}}[5m])))",
                "{{model}}",
            ),
            limits=(0.2, 0.5),
        ),
        lines(
            "Bad requests",
            "percentunit",
            "Share of the requests that failed or were held. What burns the budget of availability.",
            ('model:mlops_sli_error:ratio_rate5m{slo="availability"}', "{{model}}"),
        ),
        lines(
            "Error budget left",
            "percentunit",
            "Share of the budget of 30 days that is left; below 0 the objective is missed.",
            (
                "1 - model:mlops_sli_error:ratio_rate30d / on (model, slo) (1 - model:mlops_slo_objective:ratio)",
                "{{model}} {{slo}}",
            ),
        ),
        lines(
            "Open alerts by severity",
            "none",
            "Alerts of the models and of the platform, whether or not somebody works on them.",
            ('sum by (severity) (mlops_alert) or label_replace(vector(0), "severity", "none", "", "")', "{{severity}}"),
        ),
        lines(
            "Age of beats",
            "s",
            "Time since the last success of each watcher. Over five minutes people are told.",
            ("time() - max by (name, model) (mlops_beat_time_seconds)", "{{name}} {{model}}"),
        ),
    ),
)
