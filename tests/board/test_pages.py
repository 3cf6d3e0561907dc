"""The pages in a real browser: they live, they can be read by everybody, and they run nothing of others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from mlops_dagster.board.server import serving
from mlops_dagster.board.snapshot.entities import AlertRow, Section, Snapshot
from tests.support.board import AT, HOSTILE, empty, example, past, troubled
from tests.support.board_server import Shown, app_of

if TYPE_CHECKING:
    from axe_playwright_python.sync_playwright import Axe

expect.set_options(timeout=60_000)  # the machine may be busy

OpenPage = Callable[..., Page]
POLL = 5_000
SIDEWAYS = """document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
  .filter(node => node.getBoundingClientRect().right > innerWidth).map(node => node.outerHTML.slice(0, 80))"""
PAGES = ("/models/ranker", "/decisions/217?alpha=0.001", "/decisions/999")


@pytest.fixture(scope="module")
def axe() -> "Axe":
    from axe_playwright_python.sync_playwright import Axe

    return Axe()


def with_another(snapshot: Snapshot) -> Snapshot:
    """The same room five seconds later, with one more alert."""
    alerts = snapshot.alerts.content
    assert alerts is not None
    new: AlertRow = replace(alerts.rows[0], id=99, rule="error_rate", summary="2 % of the requests fail", reading=None)
    rows = (new, *alerts.rows)
    return replace(
        snapshot,
        at=snapshot.at + timedelta(seconds=5),
        alerts=replace(snapshot.alerts, content=replace(alerts, rows=rows, open=alerts.open + 1)),
    )


@pytest.mark.parametrize("content", [example, empty, troubled, past], ids=lambda each: str(each.__name__))
def test_everybody_can_read_it(
    content: Callable[[], Snapshot], address: str, shown: Shown, open_page: OpenPage, axe: "Axe"
) -> None:
    """Neither axe (WCAG 2.2 AA) nor the eye of a phone finds a fault, and a hostile text is shown as it was written."""
    shown.now = content()
    for width, scheme in ((390, "light"), (1280, "dark")):
        page = open_page(f"{address}/", width=width, scheme=scheme)
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        for narrow in (320, 390, 768, 1280):
            page.set_viewport_size({"width": narrow, "height": 900})
            assert page.evaluate(SIDEWAYS) == [], narrow
        assert page.locator("img").count() == 0
        if content is not empty:
            expect(page.locator("#feed")).to_contain_text(HOSTILE)


@pytest.mark.parametrize(("path", "scheme"), list(zip(PAGES, ("light", "dark", "light"), strict=True)))
def test_so_can_its_other_pages_be(path: str, scheme: str, address: str, open_page: OpenPage, axe: "Axe") -> None:
    page = open_page(f"{address}{path}", width=390, scheme=scheme, alive="999" not in path)
    found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate(SIDEWAYS) == []
    assert page.locator("h1").count() == 1


def test_a_new_alert_is_seen_and_said_with_the_next_poll(address: str, shown: Shown, open_page: OpenPage) -> None:
    page = open_page(f"{address}/", clock=True)
    assert page.title() == "(2) Control room · acme-prod"
    shown.now = with_another(example())
    page.clock.run_for(POLL + 1_000)
    expect(page.locator("#alert-99")).to_be_visible()
    page.clock.run_for(100)
    expect(page.locator("#announcer")).to_contain_text("error_rate")
    expect(page).to_have_title("(3) Control room · acme-prod")
    expect(page.locator("#as-of")).to_have_text("2026-11-30 12:35:01 UTC")
    assert page.locator("#announcer").evaluate("node => !document.getElementById('live').contains(node)")


def test_ten_polls_leave_focus_and_open_details_alone(address: str, shown: Shown, open_page: OpenPage) -> None:
    page = open_page(f"{address}/", clock=True)
    details = page.locator("#alert-41 details")
    details.locator("summary").click()
    button = details.locator("button.copy").first
    button.focus()
    for number in range(10):
        now = with_another(example()) if number % 2 else example()
        shown.now = replace(now, at=AT + timedelta(seconds=number))
        before = len(shown.asked)
        with page.expect_response("**/live"):
            page.clock.run_for(POLL)
        assert len(shown.asked) > before
        assert details.evaluate("node => node.open")
        assert button.evaluate("node => node === document.activeElement")


def test_a_server_that_is_gone_is_said_within_fifteen_seconds(home: Path, open_page: OpenPage) -> None:
    shown = Shown(example())
    app = app_of(home, shown)
    with serving(app) as address:
        page = open_page(f"{address}/", clock=True, alive=False)
    page.clock.run_for(15_000)
    banner = page.locator("#banner")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("2026-11-30 12:34:56 UTC")
    expect(page.locator("#figure-latency")).to_contain_text("124 ms")  # the last numbers stay
    shown.now = replace(example(), at=AT + timedelta(minutes=2))
    with serving(app, urlsplit(address).port or 0):
        page.clock.run_for(POLL)
        expect(banner).to_be_hidden()
        expect(page.locator("#as-of")).to_have_text("2026-11-30 12:36:56 UTC")


def test_the_keyboard_alone_reaches_every_command(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reached: list[str] = []
    for _ in range(400):
        page.keyboard.press("Tab")
        kind, label = page.evaluate(
            "[document.activeElement.tagName, document.activeElement.getAttribute('aria-label')]"
        )
        if kind == "SUMMARY":
            page.keyboard.press("Enter")
        elif kind == "BUTTON" and label:
            reached.append(label)
        elif kind == "BODY":
            break
    assert sorted(reached) == sorted(
        page.evaluate("[...document.querySelectorAll('button.copy')].map(node => node.getAttribute('aria-label'))")
    )
    page.locator("#alert-41 button.copy").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announcer")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "mlops alerts ack 41 --reason '...'"


def test_nothing_is_good_while_nobody_watches(address: str, shown: Shown, open_page: OpenPage) -> None:
    page = open_page(f"{address}/")
    assert page.locator(".state.good").count() > 0
    for watching in (troubled().watching, Section(None, None, "the database is away")):
        shown.now = replace(example(), watching=watching)
        page.reload()
        assert page.locator(".state.good").count() == 0
        assert page.locator("#watching .state.bad").count() > 0


def test_the_past_is_marked_and_does_not_move(address: str, shown: Shown, open_page: OpenPage) -> None:
    page = open_page(f"{address}/", clock=True)
    page.get_by_label("Look back to").fill("2026-11-01T06:00Z")
    page.keyboard.press("Enter")
    expect(page.locator(".past-note")).to_contain_text("This was.")
    assert shown.asked[-1][0] is not None
    before = len(shown.asked)
    page.clock.run_for(4 * POLL)
    assert len(shown.asked) == before
    assert page.locator("body.past").count() == 1


def test_a_store_that_fails_takes_only_its_own_part(address: str, shown: Shown, open_page: OpenPage) -> None:
    shown.now = troubled()
    page = open_page(f"{address}/")
    expect(page.locator("#drift")).to_contain_text("does not answer")
    expect(page.locator("#kpis")).to_contain_text("The content below is of 2026-11-30 12:31")
    expect(page.locator("#kpis tbody tr").first).to_be_visible()
    expect(page.locator("#figure-models")).to_contain_text("20")
