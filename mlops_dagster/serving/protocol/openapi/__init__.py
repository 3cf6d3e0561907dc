"""The OpenAPI 3.1 document of the data plane, written by hand because clients may rely on it."""

from mlops_dagster.serving.protocol.openapi.paths import document

__all__ = ["document"]
