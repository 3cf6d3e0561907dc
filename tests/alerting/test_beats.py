"""A beat is the last success of one piece of work, on either database."""

from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mlops_dagster.alerting import FLEET, Alerts, Beat, Beats, Rule, Severity, send_heartbeat, tell_silent
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import StorageError

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_last_success_of_each_work_is_kept(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mlops.sqlite" if kind == "sqlite" else request.getfixturevalue("postgresql")
    clock = ReplayedClock(START)
    beats = Beats(url, clock)
    beats.beat("sensor:alerts", MINUTE, note="3 models")
    beats.beat("sensor:limits", HOUR, model="churn")
    beats.beat("sensor:limits", HOUR, model="flights")
    clock.advance_to(START + HOUR)
    beats.beat("sensor:limits", HOUR, model="churn")
    assert beats.list() == [
        Beat("sensor:alerts", "", START, MINUTE, "3 models"),
        Beat("sensor:limits", "churn", START + HOUR, HOUR, ""),
        Beat("sensor:limits", "flights", START, HOUR, ""),
    ]
    assert [beat.age(clock.now()) for beat in beats.list()] == [HOUR, timedelta(0), HOUR]
    beats.close()


def test_a_watcher_that_stops_is_told_within_six_minutes_and_resolved_when_it_is_back(tmp_path: Path) -> None:
    clock = ReplayedClock(START)
    url = f"sqlite:///{tmp_path}/mlops.sqlite"
    beats, alerts = Beats(url, clock), Alerts(url, clock)

    def look() -> list[str]:
        tell_silent(alerts, beats.list(), clock.now())
        return [f"{alert.severity} {alert.subject}" for alert in alerts.list(FLEET)]

    beats.beat("sensor:alerts", MINUTE)
    beats.beat("sensor:limits", 3 * MINUTE, model="churn")
    clock.advance_to(START + 4 * MINUTE)
    assert look() == []
    clock.advance_to(START + 5 * MINUTE)
    assert look() == ["critical sensor:alerts"]
    clock.advance_to(START + 10 * MINUTE)
    assert look() == ["critical sensor:alerts", "critical sensor:limits churn"]
    beats.beat("sensor:alerts", MINUTE)
    assert look() == ["critical sensor:limits churn"]
    found = alerts.list(FLEET, resolved=True)[0]
    assert (found.rule, found.since, found.open) == (Rule.WATCHER_SILENT, START, False)
    alerts.report(FLEET, Rule.WATCHER_SILENT, Severity.CRITICAL, "of another", subject="dagster:SCHEDULER")
    clock.advance_to(START + timedelta(days=8))
    assert look() == ["critical dagster:SCHEDULER"], "who is silent for a week was taken away; others' alerts stay"
    (removed,) = (alert for alert in alerts.list(FLEET, resolved=True) if alert.subject == "sensor:limits churn")
    assert removed.resolution == "silent for 7 days: it is taken to be removed on purpose"
    beats.close()
    alerts.close()


def test_the_outside_watcher_is_fetched_once_and_its_address_is_no_part_of_an_error() -> None:
    paths: list[str] = []

    class Outside(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response({"/good": 200, "/moved": 302}.get(self.path, 500))
            self.send_header("Location", "/good")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Outside) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        send_heartbeat(f"{address}/good")
        for path, reason in (("/secret-token", "status 500"), ("/moved", "status 302")):
            with pytest.raises(StorageError, match=f"MLOPS_HEARTBEAT_URL does not answer .{reason}") as raised:
                send_heartbeat(f"{address}{path}")
            assert path not in str(raised.value)
        server.shutdown()
    with pytest.raises(StorageError, match="URLError"):
        send_heartbeat(f"{address}/good")
    assert paths == ["/good", "/secret-token", "/moved"], "no redirect is followed"
