"""The dashboard of drift: PSI by feature, and the scores."""

from typing import Final

from mlops_dagster.serving.telemetry.grafana.panel import OF_MODEL, Dashboard, lines

DRIFT: Final = Dashboard(
    "drift",
    "Models: drift",
    "The inputs of a model against its baseline, by the hourly drift report.",
    (
        lines(
            "PSI by feature",
            "none",
            "Over 0.1 it is watched, over 0.25 it asks for a retraining; but only above what chance alone may reach.",
            (f"mlops_drift_psi{{{OF_MODEL}}}", "{{feature}}"),
            limits=(0.1, 0.25),
        ),
        lines(
            "PSI over chance",
            "none",
            "PSI less what chance alone may reach with so few rows: below 0 it says nothing.",
            (f"mlops_drift_psi{{{OF_MODEL}}} - mlops_drift_noise{{{OF_MODEL}}}", "{{feature}}"),
        ),
        lines(
            "Scores",
            "none",
            "Distance D (Kolmogorov-Smirnov) of the scores from those of the evaluation: moves before any label comes.",
            (f"mlops_drift_ks{{{OF_MODEL}}}", "D"),
            limits=(0.1,),
        ),
        lines(
            "Rows unlike the training data",
            "none",
            "Rows with a value that the guard found unlike the training data, a minute.",
            (
                f"60 * sum by (feature, reason) (rate(mlops_unlike_training_total{{{OF_MODEL}}}[5m]))",
                "{{feature}} {{reason}}",
            ),
        ),
    ),
    ("model",),
)
