"""A client of an MLflow server's REST API 2.0: the few calls that showing versions needs.

MLflow's own client is not used: its import takes seconds, and the environment sets its timeouts and retries (120 s,
seven times) for the whole process. Here a failure is known at once, and the next delivery is the retry.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any

import httpx

from mlops_dagster.errors import ServerError
from mlops_dagster.registry.address import public_address
from mlops_dagster.registry.mlflow.entry import DIGEST, VERSION, Entry

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 15.0

Json = Mapping[str, Any]  # a response of the server


class MlflowServer:
    """A connection to the server, to be used in a `with` block. Its calls raise ServerError.

    All calls together take at most `seconds`, if given.
    """

    def __init__(self, address: str, seconds: float | None = None) -> None:
        self.name = public_address(address)
        self._deadline = None if seconds is None else time.monotonic() + seconds
        user, password = httpx.URL(address).username, httpx.URL(address).password
        # Not as a part of the address, which httpx logs.
        auth = httpx.BasicAuth(user, password) if user or password else None
        self._client = httpx.Client(base_url=f"{self.name.rstrip('/')}/api/2.0/mlflow/", auth=auth)

    def __enter__(self) -> "MlflowServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def aliases(self, model: str) -> dict[str, int] | None:
        """Return the version number of each alias of `model`; None if the server has no such model."""
        answer = self.find("registered-models/get", name=model)
        if answer is None:
            return None
        aliases = answer["registered_model"].get("aliases", [])
        return {alias["alias"]: int(alias["version"]) for alias in aliases}

    def create_model(self, model: str) -> None:
        """Create `model`, unless another process has created it meanwhile."""
        self._send("POST", "registered-models/create", {"name": model}, unless="RESOURCE_ALREADY_EXISTS")

    def set_alias(self, model: str, alias: str, number: int) -> None:
        body = {"name": model, "alias": alias, "version": str(number)}
        self._send("POST", "registered-models/alias", body)

    def delete_alias(self, model: str, alias: str) -> None:
        self._send("DELETE", "registered-models/alias", {"name": model, "alias": alias})

    def show(self, entry: Entry) -> int:
        """Create the server's entry of this version or change it to equal `entry`, and return its number.

        The server cannot refuse a second entry for the same version. Of two that were made at once (by two processes,
        or by one process whose request timed out but was carried out) the lower number stays: the process that made the
        higher one finds both when it searches again.
        """
        found = self._entries(entry)
        if not found:
            self._create(entry)
            found = self._entries(entry)
        number, tags = min(found.items())
        for other in found.keys() - {number}:
            body = {"name": entry.model, "version": str(other)}
            self._send("DELETE", "model-versions/delete", body, unless="RESOURCE_DOES_NOT_EXIST")
        for key, value in entry.tags.items():
            if tags.get(key) != value:
                body = {"name": entry.model, "version": str(number), "key": key, "value": value}
                self._send("POST", "model-versions/set-tag", body)
        return number

    def find(self, path: str, **query: str) -> Json | None:
        """Return the response to a GET; None if the server does not know the resource."""
        return self._get(path, unless="RESOURCE_DOES_NOT_EXIST", **query)

    def logged_models(self, experiment: str, run: str, name: str) -> list[Json]:
        """Return the models that the run logged under this name, the latest first."""
        if "'" in name:  # MLflow's filter cannot express a quote
            return []
        body = {"experiment_ids": [experiment], "filter": f"name = '{name}' AND source_run_id = '{run}'"}
        answer = self._send("POST", "logged-models/search", body) or {}
        return list(answer.get("models", []))

    def _entries(self, entry: Entry) -> dict[int, dict[str, str]]:
        """Return number and tags of each entry of this version on the server: usually one."""
        same = " AND ".join(f"tags.`{key}` = '{entry.tags[key]}'" for key in (VERSION, DIGEST))
        answer = self._get("model-versions/search", filter=f"name = '{entry.model}' AND {same}") or {}
        return {
            int(version["version"]): {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])}
            for version in answer.get("model_versions", [])
        }

    def _create(self, entry: Entry) -> None:
        body = {
            "name": entry.model,
            "source": entry.source,
            "description": entry.description,
            "tags": [{"key": key, "value": value} for key, value in entry.tags.items()],
        }
        self._send("POST", "model-versions/create", body if entry.run is None else {**body, "run_id": entry.run})

    def _get(self, path: str, unless: str = "", **query: str) -> Json | None:
        return self._answer(self._client.build_request("GET", path, params=query, timeout=self._timeout()), unless)

    def _send(self, method: str, path: str, body: Json, unless: str = "") -> Json | None:
        return self._answer(self._client.build_request(method, path, json=body, timeout=self._timeout()), unless)

    def _answer(self, request: httpx.Request, unless: str) -> Json | None:
        """Send `request` and return the response; None for the error code `unless`. Raises ServerError."""
        try:
            response = self._client.send(request)
        except httpx.HTTPError as error:
            raise ServerError(
                f"the MLflow server {self.name} cannot be reached ({str(error) or type(error).__name__}); "
                "check the server and its address, and try again"
            ) from error
        try:
            answer = response.json()
            if response.status_code == HTTPStatus.OK:
                return dict(answer)
            if unless and answer["error_code"] == unless:
                return None
            reason = f"{answer['error_code']}: {answer['message']}"
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status_code} {response.reason_phrase}, and no answer of MLflow's REST API"
        raise ServerError(
            f"{self.name} refused {request.url.path} ({reason[:1000]}); see the log of that MLflow server"
        )

    def _timeout(self) -> httpx.Timeout:
        if self._deadline is None:
            return httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise ServerError(
                f"the MLflow server {self.name} is too slow to take all changes now; the rest comes later"
            )
        return httpx.Timeout(min(REQUEST_SECONDS, remaining), connect=min(CONNECT_SECONDS, remaining))
