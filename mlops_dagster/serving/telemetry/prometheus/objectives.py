"""Objectives of models and alerts on their burn rate, by the windows of the SRE workbook."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from mlops_dagster.alerting.slo import SloPolicy
from mlops_dagster.serving.telemetry.prometheus.recordings import ANSWERED, CLIENTS
from mlops_dagster.serving.telemetry.prometheus.rule import Group, Rule, Severity, alert, recording

PERIOD: Final = "30d"
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", PERIOD)

_BAD: Final = {
    "availability": f'mlops_requests_total{{{CLIENTS}, status=~"failed|held"}}',
    "latency": f"mlops_slow_requests_total{{{ANSWERED}}}",
}
_ALL: Final = {
    "availability": f'mlops_requests_total{{{CLIENTS}, status=~"ok|failed|held"}}',
    "latency": f'mlops_requests_total{{{ANSWERED}, status=~"ok|failed"}}',
}
"""The requests of each indicator, by its name: all, and those against it. Mistakes of clients are in neither."""


class Burn(NamedTuple):
    """A burn rate that alerts if it holds in a long window, and still in a short one."""

    rate: float
    short: str
    long: str


PAGES: Final = (Burn(14.4, "5m", "1h"), Burn(6, "30m", "6h"))
TICKETS: Final = (Burn(3, "2h", "1d"), Burn(1, "6h", "3d"))


def objectives(policies: Mapping[str, SloPolicy], docs: str | None) -> list[Group]:
    """Return the objectives of these models, those of all others by default, and the alerts on them."""
    return [
        Group(name="mlops indicators", rules=[_indicator(slo, window) for slo in _BAD for window in WINDOWS]),
        Group(name="mlops bad requests", rules=[_bad(slo, burn.long) for slo in _BAD for burn in PAGES]),
        Group(name="mlops objectives", rules=[*_defaults(list(policies)), *_published(policies)]),
        Group(name="mlops budgets", rules=_alerts(docs)),
    ]


def _indicator(slo: str, window: str) -> Rule:
    bad, every = (f"sum by (model) (rate({each[slo]}[{window}]))" for each in (_BAD, _ALL))
    return recording(f"model:mlops_sli_error:ratio_rate{window}", f"{bad} / ({every} > 0)", slo=slo)


def _bad(slo: str, window: str) -> Rule:
    return recording(
        f"model:mlops_sli_bad:increase{window}", f"sum by (model) (increase({_BAD[slo]}[{window}]))", slo=slo
    )


def _defaults(others: list[str]) -> list[Rule]:
    """Return the objectives of the models that the data plane serves and `others` does not name."""
    named = "|".join(others)
    served = (
        f'max by (model) (mlops_deployment_epoch{{model!~"{named}"}})'
        if others
        else ("max by (model) (mlops_deployment_epoch)")
    )
    policy = SloPolicy()
    found = [
        recording("model:mlops_slo_objective:ratio", f"{served} * 0 + {value}", slo=slo)
        for slo, value in policy.objectives.items()
    ]
    return [*found, recording("model:mlops_slo_min_bad_events:count", f"{served} * 0 + {policy.min_bad_events}")]


def _published(policies: Mapping[str, SloPolicy]) -> list[Rule]:
    found = []
    for model, policy in policies.items():
        found += [
            recording("model:mlops_slo_objective:ratio", f"vector({value})", model=model, slo=slo)
            for slo, value in policy.objectives.items()
        ]
        found.append(recording("model:mlops_slo_min_bad_events:count", f"vector({policy.min_bad_events})", model=model))
    return found


def _alerts(docs: str | None) -> list[Rule]:
    summary = (
        "{{ $labels.model }}: the error budget of {{ $labels.slo }} burns so fast that it is gone within days "
        "({{ $value | humanizePercentage }} of the requests are bad)"
    )
    return [
        alert("MlopsBudgetBurnsFast", "critical", "0s", _burns("critical", PAGES), summary, docs=docs),
        alert("MlopsBudgetBurns", "warning", "0s", _burns("warning", TICKETS), summary, docs=docs),
        alert(
            "MlopsObjectiveWithoutRequests",
            "warning",
            "15m",
            "model:mlops_slo_objective:ratio unless on (model) sum by (model) (mlops_requests_total)",
            "{{ $labels.model }} has an objective of {{ $labels.slo }}, and no data plane tells of its requests",
            docs=docs,
        ),
    ]


def _burns(severity: Severity, burns: tuple[Burn, ...]) -> str:
    return "\nor\n".join(_burn(severity, burn) for burn in burns)


def _burn(severity: Severity, burn: Burn) -> str:
    limit = f"on (model, slo) ({burn.rate:g} * (1 - model:mlops_slo_objective:ratio))"
    found = (
        f"(model:mlops_sli_error:ratio_rate{burn.short} > {limit}\n"
        f"  and on (model, slo) model:mlops_sli_error:ratio_rate{burn.long} > {limit}"
    )
    if severity == "critical":
        found += (
            f"\n  and on (model, slo) model:mlops_sli_bad:increase{burn.long} "
            ">= on (model) group_left () model:mlops_slo_min_bad_events:count"
        )
    return found + ")"
