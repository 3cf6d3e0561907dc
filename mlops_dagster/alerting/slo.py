"""The service level of a model: the objectives of which Prometheus alerts on the burn rate."""

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel


class SloPolicy(StrictModel):
    """Objectives over 30 days. `mlops telemetry rules` makes Prometheus' rules of them.

    >>> SloPolicy().objectives
    {'availability': 0.998, 'latency': 0.99}
    """

    availability: float = Field(
        default=0.998, ge=0.9, lt=1, description="share of the requests that are answered; mistakes of clients aside"
    )
    latency: float = Field(
        default=0.99, ge=0.5, lt=1, description="share of the answers that take no longer than `rollout.slow_ms`"
    )
    min_bad_events: int = Field(
        default=10, ge=1, description="fewer bad requests in the long window page no person; a ticket needs none"
    )

    @property
    def objectives(self) -> dict[str, float]:
        """The objective of each service level indicator, by its name."""
        return {"availability": self.availability, "latency": self.latency}
