"""The dashboard of one model: traffic, latency, quality, processes."""

from typing import Final

from mlops_dagster.serving.telemetry.grafana.panel import (
    ANSWERED,
    OF_MODEL,
    OF_VERSIONS,
    PER_VERSION,
    SPLIT,
    Dashboard,
    Panel,
    Query,
    lines,
    ratio,
)

_LABELLED: Final = f"mlops_labelled_total{{{OF_VERSIONS}, {SPLIT}"


def _quantile(share: float, of: str) -> str:
    return f"histogram_quantile({share}, {of})"


_SCORED: Final = f'sum by (version) (rate(mlops_requests_total{{status=~"ok|failed", {OF_VERSIONS}, {SPLIT}}}[5m]))'
_OUTPUTS: Final = f"rate(mlops_outputs_total{{{OF_VERSIONS}, {SPLIT}}}[5m])"
_CPU: Final = (
    "sum by (instance, process) (rate(mlops_process_cpu_seconds_total[1m])) "
    "/ on (instance) group_left () max by (instance) (mlops_cpu_limit_cores)"
)
_SECONDS: Final = f"sum by (version, le) (rate(mlops_request_seconds_bucket{{{OF_VERSIONS}, {SPLIT}}}[5m]))"
_PHASES: Final = f"sum by (phase, le) (rate(mlops_phase_seconds_bucket{{{OF_VERSIONS}}}[5m]))"


def _share(by: str) -> str:
    """Return the share of right answers among the labelled ones of an hour, for each class of `by`."""
    right = f'sum by (version, {by}) (increase({_LABELLED}, correct="true"}}[1h]))'
    return ratio(right, f"sum by (version, {by}) (increase({_LABELLED}}}[1h]))")


def _harmonic() -> str:
    """Return F1 by class: twice the right answers, over the labels and the predictions of the class."""
    right = f'sum by (version, label) (increase({_LABELLED}, correct="true"}}[1h]))'
    labels = f"sum by (version, label) (increase({_LABELLED}}}[1h]))"
    predictions = f"sum by (version, prediction) (increase({_LABELLED}}}[1h]))"
    renamed = f'label_replace({predictions}, "label", "$1", "prediction", "(.*)")'
    return ratio(f"2 * {right}", f"({labels} + on (version, label) sum by (version, label) ({renamed}))")


MODEL: Final = Dashboard(
    "model",
    "Models: one model",
    "One model: traffic, latency, errors, quality by class, processes.",
    (
        Panel(
            "Latency",
            "How long requests took, from receipt to durable record: two bands mean two kinds of requests.",
            "s",
            (
                Query(
                    f"sum by (le) (increase(mlops_request_seconds_bucket{{{OF_MODEL}, {ANSWERED}}}[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            kind="heatmap",
        ),
        lines(
            "P50, P95, P99 by version",
            "s",
            "Percentiles of the latency, with the default limits of the alert p99_ms.",
            *((_quantile(share, _SECONDS), f"P{share * 100:g} {PER_VERSION}") for share in (0.5, 0.95, 0.99)),
            limits=(0.2, 0.5),
        ),
        lines(
            "Requests by version",
            "reqps",
            "Requests that the split gave each version.",
            (f"sum by (version) (rate(mlops_requests_total{{{OF_VERSIONS}, {SPLIT}}}[5m]))", PER_VERSION),
        ),
        lines(
            "Refused requests by reason",
            "reqps",
            "Requests that no version scored: mistakes of clients, holds, and storage that is away.",
            (f'sum by (code) (rate(mlops_errors_total{{{OF_MODEL}, role="none"}}[5m]))', "{{code}}"),
        ),
        lines(
            "Failed requests",
            "percentunit",
            "Share of the requests that a version was to score and that failed; warning from 0.5 %, critical from 1 %.",
            (
                ratio(
                    f'sum by (version) (rate(mlops_requests_total{{status="failed", {OF_VERSIONS}, {SPLIT}}}[5m]))',
                    _SCORED,
                ),
                PER_VERSION,
            ),
            limits=(0.005, 0.01),
        ),
        lines(
            "Slow requests",
            "percentunit",
            "Share of the requests over `slow_ms` of the model's rollout policy.",
            (
                ratio(f"sum by (version) (rate(mlops_slow_requests_total{{{OF_VERSIONS}, {SPLIT}}}[5m]))", _SCORED),
                PER_VERSION,
            ),
        ),
        lines(
            "Phases",
            "s",
            "Where the time goes: preprocess has the wait for the batch, postprocess the durable record. "
            "`mlops predictions slowest` has the trace ids of the slowest requests.",
            *((_quantile(share, _PHASES), f"P{share * 100:g} {{{{phase}}}}") for share in (0.95, 0.99)),
        ),
        lines(
            "Accuracy of the last 24 hours",
            "percentunit",
            "Of the answers whose label is known, with the 95 % interval. The alert accuracy opens on proof.",
            (f"mlops_accuracy{{{OF_VERSIONS}}}", "{{version}} {{bound}}"),
            limits=(),
        ),
        lines(
            "Headline measure of the last 24 hours",
            "percentunit",
            "The measure by which the champion is held to its floor: macro-F1 of a classification.",
            (f"mlops_headline{{{OF_VERSIONS}}}", "{{version}} {{measure}}"),
        ),
        lines(
            "Accuracy of the labels that came",
            "percentunit",
            "Of the labels that came in the last hour, whenever their predictions were made.",
            (
                ratio(
                    f'sum by (version) (increase({_LABELLED}, correct="true"}}[1h]))',
                    f"sum by (version) (increase({_LABELLED}}}[1h]))",
                ),
                PER_VERSION,
            ),
        ),
        lines(
            "Recall by class",
            "percentunit",
            "Share of the labels of a class that were predicted.",
            (_share("label"), "{{version}} {{label}}"),
        ),
        lines(
            "Precision by class",
            "percentunit",
            "Share of the predictions of a class that were right.",
            (_share("prediction"), "{{version}} {{prediction}}"),
        ),
        lines(
            "F1 by class",
            "percentunit",
            "Harmonic mean of precision and recall.",
            (_harmonic(), "{{version}} {{label}}"),
        ),
        lines(
            "Predicted classes",
            "percentunit",
            "Shares of the predicted classes. A shift without labels is the first sign of drift.",
            (
                f"sum by (version, label) ({_OUTPUTS}) / on (version) group_left () sum by (version) ({_OUTPUTS})",
                "{{version}} {{label}}",
            ),
        ),
        lines(
            "Answers without a label",
            "none",
            "Label debt: answers of the last MLOPS_LABEL_DAYS days whose label has not come.",
            (f"mlops_label_debt{{{OF_MODEL}}}", "answers"),
        ),
        lines(
            "Age of the answers without a label",
            "s",
            "Where the median grows, labels have stopped.",
            (f"mlops_label_debt_age_seconds{{{OF_MODEL}}}", "{{of}}"),
        ),
        lines(
            "Memory",
            "bytes",
            "Resident memory of each process, and what the data plane may use.",
            ("mlops_process_resident_memory_bytes > 0", "{{instance}} {{process}}"),
            ("max by (instance) (mlops_memory_limit_bytes)", "{{instance}} limit"),
        ),
        lines(
            "CPU",
            "percentunit",
            "Share of the cores that the data plane may use.",
            (
                _CPU,
                "{{instance}} {{process}}",
            ),
        ),
        Panel(
            "GPU utilization",
            "Share of the time in which each GPU worked; by the data plane, or by NVIDIA's exporter.",
            "percentunit",
            (Query("gpu:mlops_gpu_utilization:ratio", "{{instance}} {{gpu}}"),),
            hardware=True,
        ),
        Panel(
            "GPU memory",
            "Share of the memory of each GPU that is used.",
            "percentunit",
            (
                Query(
                    'mlops_gpu_memory_bytes{kind="used"} / ignoring (kind) mlops_gpu_memory_bytes{kind="total"}',
                    "{{instance}} {{gpu}}",
                ),
            ),
            hardware=True,
        ),
    ),
    ("model", "version"),
)
