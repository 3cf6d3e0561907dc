"""The dashboard of a rollout: champion and canary, the share in force, the evidence."""

from typing import Final

from mlops_dagster.serving.telemetry.grafana.panel import OF_MODEL, PER_ROLE, SPLIT, Dashboard, lines

_ARMS: Final = ("canary", "champion")
_BY_ROLE: Final = "sum by (role)"


def _requests(status: str) -> str:
    return f'{_BY_ROLE} (rate(mlops_requests_total{{{OF_MODEL}, {SPLIT}, status=~"{status}"}}[5m]))'


_FAILED: Final = f"{_requests('failed')} / ({_requests('ok|failed')} > 0)"
_P99: Final = (
    f"histogram_quantile(0.99, sum by (role, le) (rate(mlops_request_seconds_bucket{{{OF_MODEL}, {SPLIT}}}[5m])))"
)
_RIGHT: Final = (
    f'{_BY_ROLE} (increase(mlops_labelled_total{{{OF_MODEL}, {SPLIT}, correct="true"}}[1h])) '
    f"/ ({_BY_ROLE} (increase(mlops_labelled_total{{{OF_MODEL}, {SPLIT}}}[1h])) > 0)"
)
_EVIDENCE: Final = (
    f"log10(mlops_rollout_e_value{{{OF_MODEL}}}) / on (model, version, test) log10(mlops_rollout_limit{{{OF_MODEL}}})"
)
_CANARY: Final = 'role="canary"'
_ALL: Final = f"sum(rate(mlops_requests_total{{{OF_MODEL}, {SPLIT}}}[5m]))"


def _difference(expr: str) -> str:
    """Return the canary's value less the champion's."""
    canary, champion = (f'({expr}) * on (role) label_replace(vector(1), "role", "{role}", "", "")' for role in _ARMS)
    return f"sum({canary}) - sum({champion})"


ROLLOUT: Final = Dashboard(
    "rollout",
    "Models: rollout",
    "A canary beside the champion, and the evidence of the rollout. The difference decides nothing: the evidence does.",
    (
        lines(
            "P99", "s", "Champion, canary and the difference.", (_P99, "{{role}}"), (_difference(_P99), "difference")
        ),
        lines(
            "Failed requests",
            "percentunit",
            "Champion, canary and the difference.",
            (_FAILED, "{{role}}"),
            (_difference(_FAILED), "difference"),
        ),
        lines(
            "Accuracy of the labels that came",
            "percentunit",
            "In the last hour: champion, canary and the difference.",
            (_RIGHT, "{{role}}"),
            (_difference(_RIGHT), "difference"),
        ),
        lines(
            "Share of the canary",
            "percentunit",
            "What the registry asks for, and what the workers do. They differ while a change comes into force.",
            (f"sum(rate(mlops_requests_total{{{OF_MODEL}, {_CANARY}}}[5m])) / ({_ALL} > 0)", "in force"),
            (f"mlops_canary_weight{{{OF_MODEL}}}", "asked for"),
        ),
        lines(
            "Evidence",
            "none",
            "How far each test is, on a log scale: 1 is proven. `mlops rollouts explain` says what is still needed.",
            (
                _EVIDENCE,
                "{{version}} {{test}}",
            ),
            limits=(1,),
        ),
        lines(
            "Scorings left out",
            "none",
            "Scorings off the response path that were left out: the evidence lacks them.",
            (f"sum by (version, role) (increase(mlops_shed_total{{{OF_MODEL}}}[15m]))", PER_ROLE),
        ),
        lines(
            "Fuse",
            "none",
            "Versions that the fuse cut off, in the last hour.",
            (f"sum by (version) (increase(mlops_fuse_trips_total{{{OF_MODEL}}}[1h]))", "{{version}}"),
        ),
    ),
    ("model",),
)
