"""Who is let in: tokens on a real data plane, and what its log does not say."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from mlops_dagster.access.access import LOOK_SECONDS, Access
from mlops_dagster.access.tokens import Scope, TokenFile, find
from mlops_dagster.errors import (
    ConflictError,
    CorruptedError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
)
from mlops_dagster.settings import Settings
from tests.support.serving.data_plane import Models, Server, eventually, request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "guarded"
INFER, FEEDBACK, FLUSH = f"/v2/models/{MODEL}/infer", f"/v1/models/{MODEL}/feedback", "/v1/flush"


def access_of(settings: Settings) -> Access:
    return Access(settings, settings.host)


def create(file: TokenFile, name: str, *scopes: Scope) -> str:
    return file.create(name, scopes, at=NOW, by="ada")


def bearer(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


def test_a_token_is_kept_as_its_hash_and_found_by_itself_only(file: TokenFile, tmp_path: Path) -> None:
    secrets = [create(file, name, Scope.INFER) for name in ("a", "b")]
    kept = (tmp_path / "tokens.json").read_text()
    assert not any(secret in kept for secret in secrets)
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    assert len({*secrets}) == 2
    assert min(map(len, secrets)) > 43, "256 bits and more"
    tokens = file.read()
    assert tokens is not None
    assert [token and token.name for token in (find(tokens, secret) for secret in secrets)] == ["a", "b"]
    for wrong in ("", tokens[0].sha256, secrets[0][:-1], secrets[0] + "x", "\ud800"):
        assert find(tokens, wrong) is None


def test_names_are_given_once_and_revoked_once(file: TokenFile) -> None:
    create(file, "shop", Scope.INFER, Scope.FEEDBACK)
    with pytest.raises(ConflictError, match="'shop' already"):
        create(file, "shop", Scope.INFER)
    with pytest.raises(InvalidInputError, match="cannot name a token"):
        create(file, "a\nb", Scope.INFER)
    with pytest.raises(InvalidInputError, match="infer, feedback, admin"):
        create(file, "nothing")
    file.revoke("shop")
    with pytest.raises(NotFoundError, match="no token 'shop'"):
        file.revoke("shop")
    assert file.read() == ()


def test_two_who_create_at_once_both_keep_theirs(file: TokenFile) -> None:
    threads = [threading.Thread(target=create, args=(file, f"t{number}", Scope.INFER)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {token.name for token in file.read() or ()} == {f"t{number}" for number in range(12)}


def test_what_is_no_token_file_is_said(file: TokenFile, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text('[{"name": "x"}]')
    with pytest.raises(CorruptedError, match="holds no tokens"):
        file.read()
    with pytest.raises(CorruptedError):
        access_of(Settings(home=tmp_path))


def test_without_tokens_the_door_is_open_to_this_machine_only(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert access_of(Settings(home=tmp_path, host=host)).check({}, Scope.ADMIN) is None
    for host in ("0.0.0.0", "::", "10.1.2.3", "host.example", ""):  # noqa: S104  # that is the question
        with pytest.raises(RefusedError, match="mlops tokens create"):
            access_of(Settings(home=tmp_path, host=host))
        assert access_of(Settings(home=tmp_path, host=host, allow_anonymous=True)).check({}, Scope.ADMIN) is None


def test_with_tokens_the_door_is_shut_to_all_others(file: TokenFile, tmp_path: Path) -> None:
    shop, ops = create(file, "shop", Scope.INFER), create(file, "ops", Scope.ADMIN, Scope.FEEDBACK)
    access = access_of(Settings(home=tmp_path, host="127.0.0.1", allow_anonymous=True))
    assert access.check(bearer(shop), Scope.INFER) == "shop"
    assert access.check(bearer(ops), Scope.FEEDBACK) == access.check(bearer(ops)) == "ops"
    assert access.check({b"authorization": f"bearer  {ops} ".encode()}) == "ops"
    with pytest.raises(ForbiddenError, match="'shop' is for infer, not for admin"):
        access.check(bearer(shop), Scope.ADMIN)
    for headers in (
        {},
        bearer("x"),
        bearer(""),
        {b"authorization": f"Basic {shop}".encode()},
        {b"authorization": b"\xff"},
    ):
        with pytest.raises(UnauthenticatedError):
            access.check(headers)


def test_revoking_the_last_token_opens_nothing(file: TokenFile, tmp_path: Path) -> None:
    create(file, "shop", Scope.INFER)
    file.revoke("shop")
    with pytest.raises(UnauthenticatedError):
        access_of(Settings(home=tmp_path)).check({})
    exposed = access_of(Settings(home=tmp_path, host="0.0.0.0"))  # noqa: S104  # that is the question
    (tmp_path / "tokens.json").unlink()
    time.sleep(LOOK_SECONDS)
    with pytest.raises(UnauthenticatedError):
        exposed.check({})


def test_a_broken_file_leaves_the_known_tokens_in_force(file: TokenFile, tmp_path: Path) -> None:
    shop = create(file, "shop", Scope.INFER)
    access = access_of(Settings(home=tmp_path))
    (tmp_path / "tokens.json").write_text("{")
    time.sleep(LOOK_SECONDS)
    assert access.check(bearer(shop)) == "shop"
    with pytest.raises(UnauthenticatedError):
        access.check({})


@pytest.fixture(scope="module")
def models(sklearn_models: Models) -> Models:
    return sklearn_models


@pytest.fixture(scope="module")
def guarded(models: Models, start_server: Callable[[], Server]) -> tuple[Server, TokenFile]:
    """A data plane that began without tokens."""
    models.champion(MODEL)
    server = start_server()
    server.wait_in_force(models.stores, MODEL)
    return server, TokenFile(models.stores.settings.tokens_path)


def test_a_running_data_plane_follows_soon_and_tells_nobody(guarded: tuple[Server, TokenFile], models: Models) -> None:
    server, file = guarded
    content = request(delay=4242.4242, carrier="AA", id="one")
    assert server.post(INFER, content).status_code == 200
    secrets = {scope: create(file, scope.value, scope) for scope in Scope}
    begin = time.monotonic()
    eventually(lambda: server.post(INFER, content).status_code == 401)
    assert time.monotonic() - begin < 2

    labels = {"labels": [{"prediction_id": "one", "label": "late"}]}
    asked = {INFER: content, FEEDBACK: labels, FLUSH: {}}
    right = {INFER: Scope.INFER, FEEDBACK: Scope.FEEDBACK, FLUSH: Scope.ADMIN}
    for path, body in asked.items():
        for scope, secret in secrets.items():
            answer = server.client.post(path, json=body, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status_code == (200 if right[path] is scope else 403), answer.text
        refused = server.post(path, body)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
        assert refused.headers["www-authenticate"].startswith("Bearer")
    for path in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/versions/1.0.0", "/metrics"):
        assert server.client.get(path).status_code == 401
        for secret in secrets.values():
            assert server.client.get(path, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready", "/openapi.json"):
        assert server.client.get(path).status_code == 200

    # A model that fails, a body that is wrong, a token that is: none of it may show in the log.
    authorized = {"Authorization": f"Bearer {secrets[Scope.INFER]}"}
    assert server.client.post(INFER, json=request(carrier="s3cret-carrier"), headers=authorized).status_code == 500
    assert server.client.post(INFER, json=request(carrier=4242.4242), headers=authorized).status_code == 400
    assert server.client.post(INFER, headers={"Authorization": "Bearer s3cret-guess"}).status_code == 401

    file.revoke("infer")
    begin = time.monotonic()
    eventually(lambda: server.client.post(INFER, json=content, headers=authorized).status_code == 401)
    assert time.monotonic() - begin < 2
    server.stop(signal.SIGTERM)
    log = server.log.read_text()
    assert "serving on" in log
    for secret in (*secrets.values(), "s3cret", "4242.4242", "Bearer", "uthorization"):
        assert secret not in log
    labels_table = DeltaTable(f"{models.stores.settings.log}/labels").to_pyarrow_table(columns=["label", "actor"])
    assert labels_table.to_pylist() == [{"label": "late", "actor": "feedback"}]


def test_an_address_that_others_reach_is_not_served_without_tokens(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "mlops_dagster.cli", "serve"],
        env={**os.environ, "MLOPS_HOME": str(tmp_path), "MLOPS_HOST": "0.0.0.0", "MLOPS_PORT": "0"},  # noqa: S104
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error (refused): 0.0.0.0 can be reached by others, and there is no token")
    assert not (tmp_path / "serving.json").exists()
