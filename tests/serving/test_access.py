"""Who is let in: tokens on a real data plane, and what its log does not say."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from deltalake import DeltaTable

from mlops_dagster.access.access import LOOK_SECONDS, Access
from mlops_dagster.access.token_file import TokenFile
from mlops_dagster.access.token_store import FOLLOW_SECONDS, TokenStore
from mlops_dagster.access.tokens import Scope, find
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
from tests.support.serving.prometheus import free_port

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "guarded"
INFER, FEEDBACK, FLUSH = f"/v2/models/{MODEL}/infer", f"/v1/models/{MODEL}/feedback", "/v1/flush"


Opened: TypeAlias = Callable[[Settings], TokenStore]
"""Opens the store of a home, until the end of the test."""


def access_of(settings: Settings) -> Access:
    return Access(settings, settings.host)


def create(tokens: TokenStore, name: str, *scopes: Scope) -> str:
    return tokens.create(name, scopes, at=NOW, by="ada")


def bearer(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(closing(TokenStore(settings)))


@pytest.fixture
def tokens(tmp_path: Path, opened: Opened) -> TokenStore:
    return opened(Settings(home=tmp_path))


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A home's, on either database."""
    if request.param == "SQLite":
        return Settings(home=tmp_path)
    return Settings(home=tmp_path, database_url=request.getfixturevalue("postgresql"))


def test_a_token_is_kept_as_its_hash_and_found_by_itself_only(tokens: TokenStore, tmp_path: Path) -> None:
    secrets = [create(tokens, name, Scope.INFER) for name in ("a", "b")]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(secret.encode() in kept for secret in secrets)
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    assert len({*secrets}) == 2
    assert min(map(len, secrets)) > 43, "256 bits and more"
    copied = TokenFile(tmp_path / "tokens.json").read()
    assert copied is not None
    assert [*copied] == tokens.list()
    assert [token and token.name for token in (find(copied, secret) for secret in secrets)] == ["a", "b"]
    for wrong in ("", copied[0].sha256, secrets[0][:-1], secrets[0] + "x", "\ud800"):
        assert find(copied, wrong) is None


def test_names_are_given_once_and_revoked_once(settings: Settings, opened: Opened) -> None:
    tokens = opened(settings)
    assert tokens.list() is None
    before = create(tokens, "shop", Scope.INFER, Scope.FEEDBACK)
    with pytest.raises(ConflictError, match="'shop' already"):
        create(tokens, "shop", Scope.INFER)
    with pytest.raises(InvalidInputError, match="cannot name a token"):
        create(tokens, "a\nb", Scope.INFER)
    with pytest.raises(InvalidInputError, match="infer, feedback, admin"):
        create(tokens, "nothing")
    tokens.revoke("shop", at=NOW, by="bob")
    with pytest.raises(NotFoundError, match="no token 'shop'"):
        tokens.revoke("shop", at=NOW, by="bob")
    assert tokens.list() == []
    again = create(tokens, "shop", Scope.INFER)
    (token,) = tokens.list() or ()
    assert (find([token], again), find([token], before)) == (token, None)


def test_all_who_create_at_once_keep_theirs(settings: Settings, opened: Opened) -> None:
    stores = [opened(settings) for _ in range(12)]
    threads = [threading.Thread(target=create, args=(each, f"t{n}", Scope.INFER)) for n, each in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {f"t{number}" for number in range(12)}
    assert {token.name for token in stores[0].list() or ()} == made
    assert {token.name for token in TokenFile(settings.tokens_path).read() or ()} == made


def test_every_home_on_one_database_follows_it_and_trusts_nobody_before(
    postgresql: str, tmp_path: Path, opened: Opened
) -> None:
    ours, theirs = (Settings(home=tmp_path / name, database_url=postgresql) for name in ("ours", "theirs"))
    store = opened(ours)
    shop = create(store, "shop", Scope.INFER)
    with opened(theirs).copied():
        access = access_of(theirs)
        assert access.check(bearer(shop)) == "shop"
        store.revoke("shop", at=NOW, by="bob")
        eventually(lambda: is_refused(access, bearer(shop)), FOLLOW_SECONDS + LOOK_SECONDS + 1)
    away = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    for name in ("ours", "new"):
        settings = Settings(home=tmp_path / name, database_url=away)
        opened(settings).copy_before_start()
        assert is_refused(access_of(settings), {})


def is_refused(access: Access, headers: dict[bytes, bytes]) -> bool:
    try:
        access.check(headers)
    except UnauthenticatedError:
        return True
    return False


def test_what_is_no_token_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text('[{"name": "x"}]')
    with pytest.raises(CorruptedError, match="holds no tokens"):
        TokenFile(tmp_path / "tokens.json").read()
    with pytest.raises(CorruptedError):
        access_of(Settings(home=tmp_path))


def test_without_tokens_the_door_is_open_to_this_machine_only(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert access_of(Settings(home=tmp_path, host=host)).check({}, Scope.ADMIN) is None
    for host in ("0.0.0.0", "::", "10.1.2.3", "host.example", ""):  # noqa: S104  # that is the question
        with pytest.raises(RefusedError, match="mlops tokens create"):
            access_of(Settings(home=tmp_path, host=host))
        assert access_of(Settings(home=tmp_path, host=host, allow_anonymous=True)).check({}, Scope.ADMIN) is None


def test_with_tokens_the_door_is_shut_to_all_others(tokens: TokenStore, tmp_path: Path) -> None:
    shop, ops = create(tokens, "shop", Scope.INFER), create(tokens, "ops", Scope.ADMIN, Scope.FEEDBACK)
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


def test_revoking_the_last_token_opens_nothing(tokens: TokenStore, tmp_path: Path) -> None:
    create(tokens, "shop", Scope.INFER)
    tokens.revoke("shop", at=NOW, by="bob")
    with pytest.raises(UnauthenticatedError):
        access_of(Settings(home=tmp_path)).check({})
    exposed = access_of(Settings(home=tmp_path, host="0.0.0.0"))  # noqa: S104  # that is the question
    (tmp_path / "tokens.json").unlink()
    time.sleep(LOOK_SECONDS)
    with pytest.raises(UnauthenticatedError):
        exposed.check({})


def test_a_broken_file_leaves_the_known_tokens_in_force(tokens: TokenStore, tmp_path: Path) -> None:
    shop = create(tokens, "shop", Scope.INFER)
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
def guarded(models: Models, start_server: Callable[[], Server]) -> tuple[Server, TokenStore]:
    """A data plane that began without tokens."""
    models.champion(MODEL)
    server = start_server()
    server.wait_in_force(models.stores, MODEL)
    return server, models.stores.tokens


def test_a_running_data_plane_follows_soon_and_tells_nobody(guarded: tuple[Server, TokenStore], models: Models) -> None:
    server, tokens = guarded
    content = request(delay=4242.4242, carrier="AA", id="one")
    assert server.post(INFER, content).status_code == 200
    secrets = {scope: create(tokens, scope.value, scope) for scope in Scope}
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

    tokens.revoke("infer", at=NOW, by="bob")
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
