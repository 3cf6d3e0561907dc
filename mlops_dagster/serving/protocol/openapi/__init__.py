"""The OpenAPI 3.1 document of the data plane, written by hand: it is what clients may rely on."""

from mlops_dagster.serving.protocol.openapi.paths import document

__all__ = ["document"]
