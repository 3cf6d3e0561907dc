"""The document is true: schemathesis makes requests from it, and the real answers conform to it."""

from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mlops_dagster.serving.http.app import create_app
from mlops_dagster.serving.protocol.openapi import document
from mlops_dagster.settings import Settings
from tests.support.serving.data_plane import Models, Server

MODEL = "fuzzed"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def ready(server: Server, models: Models) -> Server:
    models.champion(MODEL)
    server.wait_in_force(models.stores, MODEL)
    return server


def test_every_route_is_in_the_document(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path))
    routes = {(route.path, method) for route in app.routes for method in route.methods - {"HEAD"}}
    described = {(path, method.upper()) for path, methods in document()["paths"].items() for method in methods}
    assert described == routes


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_every_answer_is_as_the_document_says(ready: Server, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_url(f"{ready.client.base_url}/openapi.json")
    operations = [result.ok() for result in described.get_all_operations()]
    assert len(operations) == 12, "all but the document itself"
    statuses: Counter[int] = Counter()
    for operation in operations:
        if mode is GenerationMode.POSITIVE or operation.body:  # any text is a valid path
            ask_as_it_says(operation, mode, statuses)
    assert statuses[200] > 5 if mode is GenerationMode.POSITIVE else statuses[400] > 20, statuses


def ask_as_it_says(operation: APIOperation, mode: GenerationMode, statuses: Counter[int]) -> None:
    @settings(
        max_examples=12,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(operation.as_strategy(generation_mode=mode), st.integers(0, 3))
    def ask(case: schemathesis.Case, number: int) -> None:
        if number and "model" in case.path_parameters:
            case.path_parameters["model"] = MODEL
            if "version" in case.path_parameters:
                case.path_parameters["version"] = "1.0.0"
        answer = case.call_and_validate(checks=CHECKS, timeout=30)
        statuses[answer.status_code] += 1

    ask()
