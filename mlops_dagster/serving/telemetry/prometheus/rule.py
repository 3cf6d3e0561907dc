"""Rules of Prometheus, as its files have them."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

Severity = Literal["critical", "warning", "info", "none"]


class Rule(TypedDict, total=False):
    """A recording or alerting rule of Prometheus 2.42 or later."""

    record: str
    alert: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Group(TypedDict):
    """Rules that Prometheus evaluates together, in their order."""

    name: str
    rules: Sequence[Rule]


def recording(record: str, expr: str, **labels: str) -> Rule:
    """Return a rule that records the value of `expr` under a name."""
    return Rule(record=record, expr=expr, labels=labels) if labels else Rule(record=record, expr=expr)


def alert(  # the fields of an alert
    name: str, severity: Severity, wait: str, expr: str, summary: str, *, docs: str | None
) -> Rule:
    """Return a rule that alerts once `expr` has had a value for the time `wait`."""
    return Rule(
        alert=name,
        expr=expr,
        **{"for": wait},  # type: ignore[typeddict-unknown-key]  # a word of Python
        labels={"severity": severity},
        annotations={"summary": summary, "runbook_url": runbook(name, docs)},
    )


def runbook(alert: str, docs: str | None) -> str:
    """Return where the alert is explained: on the site of the documentation, or in the repository if it has no site.

    >>> runbook("MlopsShed", "https://docs.example.com")
    'https://docs.example.com/runbooks/prometheus.html#mlopsshed'
    >>> runbook("MlopsShed", None)
    'docs/runbooks/prometheus.md#mlopsshed'
    """
    page = "docs/runbooks/prometheus.md" if docs is None else f"{docs.rstrip('/')}/runbooks/prometheus.html"
    return f"{page}#{alert.lower()}"
