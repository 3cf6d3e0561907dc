"""A browser for each file, a server for all pages; each test has its own page, and fails if that page misbehaves."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mlops_dagster.board.server import serving
from tests.support.board import example
from tests.support.board_server import Shown, app_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")  # its event loop runs in this thread as long as it lives, and others start one
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            timeout=120_000,  # the machine may be busy
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Shown]]:
    shown = Shown(example())
    with serving(app_of(tmp_path_factory.mktemp("board"), shown)) as address:
        yield address, shown


@pytest.fixture
def shown(served: tuple[str, Shown]) -> Shown:
    """What the room shows; each test begins with the example."""
    served[1].now = example()
    served[1].asked.clear()
    return served[1]


@pytest.fixture
def address(served: tuple[str, Shown], shown: Shown) -> str:
    return served[0]


@pytest.fixture
def open_page(browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Opens pages, with a clock that the test may move on. None may have an error, a dialog, or a foreign request."""
    bad: list[str] = []
    contexts = []

    def opened(
        url: str, *, width: int = 1280, scheme: str = "light", clock: bool = False, alive: bool = True
    ) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("dialog", lambda dialog: bad.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: _same_origin(url, request.url) or bad.append(f"request to {request.url}"))
        if alive:
            page.on("console", lambda said: said.type == "error" and bad.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: bad.append(f"script: {error}"))
        if clock:
            page.clock.install()
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not bad


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def _same_origin(one: str, other: str) -> bool:
    return urlsplit(one)[:2] == urlsplit(other)[:2]
