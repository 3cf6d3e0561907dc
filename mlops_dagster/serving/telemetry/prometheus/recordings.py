"""Recordings that dashboards and alerts read: requests, failures and latency by model, version and role."""

from typing import Final

from mlops_dagster.serving.telemetry.prometheus.rule import Group, recording

CLIENTS: Final = 'role=~"champion|canary|named|none"'
"""One sample for every request of a client; paired and shadow scorings are additional ones."""

ANSWERED: Final = 'role=~"champion|canary|named"'
"""The requests that a version was to answer."""

_OF_ARM: Final = "sum by (model, version, role)"


def recordings() -> list[Group]:
    """Return the recordings, evaluated as often as Prometheus scrapes."""
    requests = recording("model:mlops_requests:rate5m", f"sum by (model) (rate(mlops_requests_total{{{CLIENTS}}}[5m]))")
    of_arm = recording("model_version_role:mlops_requests:rate5m", f"{_OF_ARM} (rate(mlops_requests_total[5m]))")
    failed = recording(
        "model_version_role:mlops_failed:ratio_rate5m",
        f'{_OF_ARM} (rate(mlops_requests_total{{status="failed"}}[5m])) '
        f'/ ({_OF_ARM} (rate(mlops_requests_total{{status=~"ok|failed"}}[5m])) > 0)',
    )
    buckets = recording(
        "model_version_role_le:mlops_request_seconds_bucket:rate5m",
        "sum by (model, version, role, le) (rate(mlops_request_seconds_bucket[5m]))",
    )
    p99 = recording(
        "model_version_role:mlops_request_seconds:p99_5m",
        "histogram_quantile(0.99, model_version_role_le:mlops_request_seconds_bucket:rate5m)",
    )
    # On Kubernetes NVIDIA's exporter knows the GPUs; its GPU_UTIL does not work under MIG, this one does.
    gpu = recording(
        "gpu:mlops_gpu_utilization:ratio",
        "max by (instance, gpu, uuid) (mlops_gpu_utilization_ratio) or label_replace("
        'max by (instance, gpu, UUID) (DCGM_FI_PROF_GR_ENGINE_ACTIVE), "uuid", "$1", "UUID", "(.*)")',
    )
    return [Group(name="mlops recordings", rules=[requests, of_arm, failed, buckets, p99, gpu])]
