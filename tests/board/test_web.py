"""The control room as a web server: who is let in, what its answers carry, and that it only reads."""

import base64
from dataclasses import replace
from datetime import timedelta
from gzip import compress
from pathlib import Path
from typing import TypeVar

import pytest
from starlette.testclient import TestClient

from mlops_dagster.access import Scope
from mlops_dagster.access.token_store import TokenStore
from mlops_dagster.board.snapshot.entities import Section
from mlops_dagster.errors import RefusedError
from mlops_dagster.settings import Settings
from tests.support.board import AT, HOSTILE, example
from tests.support.board_server import Shown, app_of

Row = TypeVar("Row")
PAGES = ("/", "/live", "/models/ranker", "/decisions/217", "/static/board.css", "/nothing", "/?at=yesterday")


@pytest.fixture
def client(home: Path) -> TestClient:
    return TestClient(app_of(home, Shown(example())), base_url="http://localhost:8081")


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_forbids_what_the_page_does_not_need(path: str, client: TestClient) -> None:
    answer = client.get(path)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.post(path).status_code in (404, 405)
    assert HOSTILE not in answer.text


def test_mistakes_are_pages_too(client: TestClient) -> None:
    assert client.get("/decisions/999").status_code == 404
    for path in ("/?at=yesterday", "/?at=2026-11-30T12:00", "/?page=0", "/?page=x"):
        answer = client.get(path)
        assert answer.status_code == 400
        assert "invalid_input" in answer.text


def test_what_is_known_is_not_sent_again(client: TestClient, home: Path) -> None:
    shown = Shown(example())
    client = TestClient(app_of(home, shown), base_url="http://localhost:8081")
    first = client.get("/live")
    shown.now = replace(example(), at=AT + timedelta(seconds=5), feed=replace(example().feed, as_of=AT))
    again = client.get("/live", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["as-of"] == "2026-11-30T12:35:01+00:00"
    shown.now = replace(example(), alerts=Section(None, None, "away"))
    assert client.get("/live", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_ten_models_are_a_small_page(home: Path) -> None:
    whole = example()
    models = whole.models.content
    assert models is not None
    ten = replace(
        whole,
        models=Section(tuple(replace(models[0], model=f"model-{n}") for n in range(10)), AT),
        versions=_times_ten(whole.versions),
        kpis=_times_ten(whole.kpis),
        drift=_times_ten(whole.drift),
        policies=_times_ten(whole.policies),
    )
    client = TestClient(app_of(home, Shown(ten)), base_url="http://localhost:8081")
    answer = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(compress(answer.content)) < 20_000


def test_others_need_a_token_to_read(home: Path) -> None:
    with pytest.raises(RefusedError, match="mlops tokens create"):
        app_of(home, Shown(example()), board_host="0.0.0.0")  # noqa: S104  # that is the question
    file = TokenStore(Settings(home=home))
    reader = file.create("ada", [Scope.READ], at=AT, by="ada")
    shop = file.create("shop", [Scope.INFER, Scope.ADMIN], at=AT, by="ada")
    client = TestClient(app_of(home, Shown(example()), board_host="0.0.0.0"), base_url="http://board.example.com")  # noqa: S104
    asked = client.get("/")
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert client.get("/static/board.css").status_code == 401
    assert client.get("/", headers={"Authorization": f"Bearer {reader}"}).status_code == 200
    assert client.get("/", headers={"Authorization": _basic(reader)}).status_code == 200
    assert client.get("/", headers={"Authorization": _basic(shop)}).status_code == 403
    assert client.get("/", headers={"Authorization": "Basic ?"}).status_code == 400


def test_a_page_whose_name_points_here_reads_nothing(home: Path) -> None:
    app = app_of(home, Shown(example()), allowed_hosts="board.example.com")
    assert TestClient(app, base_url="http://evil.example.com").get("/live").status_code == 403
    assert TestClient(app, base_url="http://board.example.com").get("/live").status_code == 200


def _times_ten(section: Section[tuple[Row, ...]]) -> Section[tuple[Row, ...]]:
    rows = section.content or ()
    return Section(tuple(replace(each, model=f"model-{n}") for n in range(10) for each in rows), AT)  # type: ignore[type-var]


def _basic(token: str) -> str:
    return f"Basic {base64.b64encode(f'ada:{token}'.encode()).decode()}"
