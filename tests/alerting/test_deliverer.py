"""The deliverer's promises, one by one: order, pauses, dead letters, reminders, and what is over before it was told."""

import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.alerting.alert import FLEET
from mlops_dagster.alerting.channels.apprise import text_of
from mlops_dagster.alerting.channels.http import Answer, Http, retry_after
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.delivery.entry import Entry, State
from mlops_dagster.alerting.routing.checking import check_channels
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.alerting.rule import Notice
from mlops_dagster.errors import ChannelRefusedError, InvalidPolicyError, TryLaterError
from tests.support.channels.pagerduty import KEY
from tests.support.channels.stub import Asked, Killed, Reply, on_loopback
from tests.support.channels.world import CHANNELS, ROUTES, START, Fresh, World, world_on

both = pytest.mark.parametrize("fresh", ["sqlite", "postgresql"], indirect=True)
"""What the queue promises holds on either database."""

BROKEN = "mlops:test:*:channel_broken:oncall"


def page(world: World, subject: str = "", severity: Severity = Severity.CRITICAL) -> int:
    return world.alerts.report("churn", Rule.SUITE, severity, "nulls 0.6 %", subject=subject).id


def end(world: World, subject: str = "") -> None:
    world.alerts.resolve("churn", Rule.SUITE, "it passed", subject=subject)


def key(subject: str) -> str:
    return f"mlops:test:churn:suite:{subject}"


def entries(world: World, channel: str, *states: State) -> Sequence[Entry]:
    return [entry for entry in world.letters.list(states or list(State)) if entry.channel == channel]


def asked_of(world: World, host: str) -> list[Asked]:
    return [asked for to, asked in world.network.requests if to == host]


@both
def test_an_outage_of_an_hour_loses_nothing_and_keeps_the_order(world: World) -> None:
    down = True
    world.network.fault = lambda asked: "cut_before" if down and asked.path.startswith("/v2/") else None
    for number in range(12):
        page(world, str(number))
        if number % 2:
            end(world, str(number - 1))
        world.later(minutes=5)
        world.deliver()
    assert not world.pager.incidents
    assert len(world.bus.open - {BROKEN}) == 6, "the other channels go on"
    down = False
    world.settle()
    assert set(world.pager.open) == {key(str(number)) for number in range(1, 12, 2)}
    assert sorted(world.pager.incidents) == sorted(world.pager.open), "nobody is paged for what is over"
    assert entries(world, "oncall", State.SUPERSEDED)


def test_one_key_that_fails_holds_up_no_other(world: World) -> None:
    world.network.fault = lambda asked: Reply(500) if b":poison" in asked.body else None
    for subject in ("poison", "a", "b"):
        page(world, subject)
    for _ in range(3):
        world.deliver()
        world.later(seconds=3)
    assert set(world.pager.open) == {key("a"), key("b")}
    (waiting,) = entries(world, "oncall", State.WAITING)
    assert waiting.error == "500 Internal Server Error"
    world.network.fault = lambda asked: None
    world.later(minutes=5)
    world.deliver()
    assert key("poison") in world.pager.open


def test_a_channel_that_asks_for_a_pause_gets_it(world: World) -> None:
    world.network.fault = lambda asked: Reply(429, headers={"retry-after": "120"}) if "/v2/" in asked.path else None
    page(world, "a")
    page(world, "b")
    world.delivery.deliver("oncall")
    assert len(asked_of(world, "pagerduty")) == 1
    world.network.fault = lambda asked: None
    world.later(seconds=119)
    world.another_delivery().deliver("oncall")
    assert not world.pager.open, "another process waits too"
    world.later(seconds=1)
    world.delivery.deliver("oncall")
    assert set(world.pager.open) == {key("a"), key("b")}


def test_pauses_double_up_to_five_minutes_and_are_random(world: World) -> None:
    world.network.fault = lambda asked: "cut_before"
    page(world)
    pauses = []
    for _ in range(12):
        world.delivery.deliver("oncall")
        (waiting,) = entries(world, "oncall")
        pauses.append(waiting.next_at - world.clock.now())
        world.clock.advance_to(waiting.next_at)
    assert all(
        pause <= min(timedelta(seconds=2) * 2**tries, timedelta(minutes=5)) for tries, pause in enumerate(pauses)
    )
    assert max(pauses) > timedelta(seconds=20)
    assert len(set(pauses)) == len(pauses)


def test_a_refused_message_is_kept_and_told_by_the_other_channels(world: World) -> None:
    world.pager.key = "f" * 32
    page(world)
    world.deliver()
    (dead,) = entries(world, "oncall", State.DEAD)
    assert dead.error == "400 Bad Request (Invalid routing key)"
    (alert,) = (alert for alert in world.alerts.list() if alert.rule == Rule.CHANNEL_BROKEN)
    assert (alert.model, alert.subject, alert.severity) == (FLEET, "oncall", Severity.WARNING)
    world.deliver()
    assert any("channel oncall does not take messages" in issue.body for issue in world.github.issues)
    world.pager.key = KEY
    assert world.letters.retry("oncall") == 1
    world.deliver()
    assert set(world.pager.open) == {key("")[:-1]}
    assert Rule.CHANNEL_BROKEN not in {alert.rule for alert in world.alerts.list()}
    world.deliver()
    assert not world.github.open


def test_a_broken_channel_is_not_told_by_itself(world: World) -> None:
    world.github.token = "another"  # noqa: S105
    page(world, severity=Severity.WARNING)
    world.deliver()
    world.deliver()
    assert {entry.message.rule for entry in entries(world, "tickets")} == {"suite"}
    assert any("channel_broken" in each for each in world.bus.open)


def test_a_channel_that_fails_for_ten_minutes_is_broken(world: World) -> None:
    world.network.fault = lambda asked: "cut_before" if asked.path.startswith("/v2/") else None
    page(world)
    world.deliver()
    assert len(world.alerts.list()) == 1
    for _ in range(7):
        world.later(minutes=5)
        world.deliver()
    assert {alert.rule for alert in world.alerts.list()} == {Rule.SUITE, Rule.CHANNEL_BROKEN}


def test_a_message_is_given_up_after_a_day(world: World) -> None:
    world.network.fault = lambda asked: "cut_before" if asked.path.startswith("/v2/") else None
    page(world)
    for _ in range(25):
        world.delivery.deliver("oncall")
        world.later(hours=1)
    (dead,) = entries(world, "oncall", State.DEAD)
    assert dead.error.startswith("given up after ")


def test_a_chat_is_tried_six_times_over_more_than_an_hour(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_CHAT", "json://127.0.0.1:9/")
    chat = {"type": "apprise", "url": "${TEST_CHAT}"}
    with fresh() as database, world_on(database, channels={"chat": chat}, routes=[{"critical": ["chat"]}]) as world:
        page(world)
        tries = []
        for _ in range(200):
            world.delivery.deliver("chat")
            tries.append(entries(world, "chat")[0].attempts)
            world.later(minutes=1)
        assert tries[60] == 5, "an outage of an hour is survived"
        (dead,) = entries(world, "chat", State.DEAD)
        assert dead.attempts == 6
        assert dead.error.startswith("given up after 6 tries: Apprise could not send it: A Connection error occurred")


def test_an_entry_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    page(world, "a")
    page(world, "b")
    with closing(sqlite3.connect(world.database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE outbox SET message = '{}' WHERE key LIKE '%:a'")
    world.deliver()
    assert set(world.pager.open) == {key("b")}


def test_the_end_of_what_may_have_arrived_is_told(world: World) -> None:
    answers = ["cut_after"]
    world.network.fault = lambda asked: answers.pop() if answers else None
    page(world)
    world.delivery.deliver("oncall")
    assert len(world.pager.open) == 1, "though its answer was lost"
    end(world)
    world.later(seconds=3)
    world.delivery.deliver("oncall")
    assert (list(world.pager.open), len(world.pager.incidents)) == ([], 1)


@both
def test_an_issue_whose_answer_was_lost_is_found_again(world: World) -> None:
    answers = ["cut_after", "kill_after"]
    world.network.fault = lambda asked: answers.pop() if answers and asked.method == "POST" else None
    page(world, severity=Severity.WARNING)
    with pytest.raises(Killed):
        world.delivery.deliver("tickets")
    world.later(seconds=61)
    world.alerts.acknowledge(world.alerts.list()[0].id, "I look")
    for _ in range(2):
        world.delivery.deliver("tickets")
        world.later(seconds=3)
    (issue,) = world.github.issues
    assert len(issue.comments) == 1
    assert not answers


def test_a_ticket_tells_in_one_line_of_what_was_over_before(world: World) -> None:
    world.network.fault = lambda asked: "cut_before"
    page(world, severity=Severity.WARNING)
    world.delivery.deliver("tickets")
    world.later(minutes=20)
    end(world)
    world.network.fault = lambda asked: None
    world.later(minutes=10)
    world.delivery.deliver("tickets")
    (issue,) = world.github.issues
    assert (issue.state, issue.comments) == ("closed", [])
    assert "It was open from 2026-01-01 12:00 UTC to 12:20 UTC and could not be told in time" in issue.body


def test_an_issue_is_opened_again_within_a_week_and_else_made_anew(world: World) -> None:
    for days in (0, 6, 8):
        world.later(days=days)
        page(world, severity=Severity.WARNING)
        world.delivery.deliver("tickets")
        world.later(minutes=1)
        end(world)
        world.delivery.deliver("tickets")
    assert [len(issue.comments) for issue in world.github.issues] == [3, 1]
    assert not world.github.open


def test_a_rate_limit_of_github_is_waited_for(world: World) -> None:
    reset = str(int((START + timedelta(minutes=7)).timestamp()))
    limited = Reply(403, {"message": "no"}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset})
    world.network.fault = lambda asked: limited
    page(world, severity=Severity.WARNING)
    world.delivery.deliver("tickets")
    (waiting,) = entries(world, "tickets")
    assert waiting.next_at == START + timedelta(minutes=7)


def test_alertmanager_hears_of_an_open_alert_every_minute_and_of_its_end(world: World) -> None:
    page(world)
    for _ in range(10):
        world.deliver()
        world.later(seconds=61)
        assert len(world.prom.open) == 1
    end(world)
    world.deliver()
    assert not world.prom.open
    world.prom.alerts.clear()  # it lost its memory
    world.later(minutes=2)
    world.deliver()
    assert world.prom.alerts
    assert not world.prom.open


def test_alertmanager_ends_a_severity_whose_answer_was_lost(world: World) -> None:
    answers = ["cut_after"]
    world.network.fault = lambda asked: answers.pop() if answers else None
    page(world)
    world.delivery.deliver("prom")
    page(world, severity=Severity.WARNING)
    end(world)
    world.later(seconds=7)
    world.delivery.deliver("prom")
    assert len(world.prom.alerts) > 1
    assert not world.prom.open


def test_promotions_and_rollbacks_are_changes_for_the_pager(world: World) -> None:
    for notice in (Notice.PROMOTED, Notice.STEP, Notice.ROLLBACK):
        world.alerts.tell("churn", notice, f"{notice} happened", version="2.0.0")
    world.deliver()
    assert [each["payload"]["summary"] for each in world.pager.changes] == [
        "[INFO] churn 2.0.0: promoted happened",
        "[INFO] churn 2.0.0: rollback happened",
    ]
    assert not world.pager.open


@both
def test_what_nobody_acknowledges_is_told_again_and_to_others(fresh: Fresh) -> None:
    file = {
        "channels": {**CHANNELS, "second": CHANNELS["oncall"], "bus": CHANNELS["bus"]},
        "routes": [{"critical": ["bus"]}],
        "escalate": {"unacknowledged_minutes": 15, "to": ["second"]},
        "repeat_hours": 24,
    }
    with fresh() as database, world_on(database, **file) as world:
        page(world, "a")
        page(world, "b")
        world.alerts.acknowledge(page(world, "b"), "I look")
        world.later(minutes=14)
        assert world.delivery.remind() == 0
        world.later(minutes=1)
        assert (world.delivery.remind(), world.delivery.remind()) == (1, 0)
        world.deliver()
        assert set(world.pager.open) == {key("a")}
        world.later(hours=24)
        assert (world.delivery.remind(), world.delivery.remind()) == (2, 0)
        world.deliver()
        assert [taken["action"] for taken in world.bus.taken.values() if taken["key"] == key("a")] == ["open", "update"]
        end(world, "a")
        world.deliver()
        assert not world.pager.open
        assert not world.refused


def test_what_was_open_before_there_were_channels_is_told(world: World) -> None:
    from mlops_dagster.alerting import Alerts

    untold = Alerts(world.database, world.clock, name="test")
    untold.report("churn", Rule.SUITE, Severity.CRITICAL, "nulls 0.6 %")
    untold.close()
    assert world.delivery.remind() == 3
    world.deliver()
    assert len(world.pager.open) == 1


def test_what_is_muted_is_told_when_it_is_not_any_more(world: World) -> None:
    world.alerts.silence(START + timedelta(hours=1), "moving")
    page(world, "a")
    page(world, "b")
    end(world, "b")
    world.delivery.remind()
    world.deliver()
    assert not world.network.requests
    world.later(minutes=61)
    world.alerts.update_mutes()
    world.deliver()
    assert set(world.pager.open) == {key("a")}


def test_what_is_muted_after_people_were_told_ends_in_their_channels_until_that_is_over(world: World) -> None:
    page(world, "a")
    world.alerts.acknowledge(page(world, "b", Severity.WARNING), "I look")
    world.deliver()
    world.later(minutes=1)
    silence = world.alerts.silence(START + timedelta(hours=1), "moving")
    page(world, "c")
    world.deliver()
    world.later(seconds=1)
    assert (world.pager.open, world.github.open, world.bus.open, world.prom.open) == ({}, [], set(), [])
    (issue,) = world.github.issues
    assert issue.comments[-1]["body"].startswith(r"**\[MUTED\] churn: nulls 0.6 %**")
    assert f"Muted by silence {silence.id}; if it is still open" in issue.comments[-1]["body"]
    (muted,) = (each.message for each in entries(world, "tickets") if each.action is Action.MUTE)
    assert text_of(muted, Action.RESOLVE).startswith("Muted by silence"), "as a chat has it"
    world.delivery.remind()
    world.later(minutes=61)
    world.alerts.update_mutes()
    world.settle()
    assert world.pager.open == {key("a"): "triggered", key("c"): "triggered"}
    assert [each["action"] for each in world.bus.taken.values() if each["key"] == key("b")][-2:] == [
        "open",
        "acknowledge",
    ]
    assert world.bus.open == {key("a"), key("b"), key("c")}
    assert len(world.github.open) == 1
    for subject in "abc":
        end(world, subject)
    world.settle()
    assert (world.pager.open, world.github.open, world.bus.open, world.prom.open) == ({}, [], set(), [])
    assert Counter(world.pager.incidents) == {key("a"): 2, key("c"): 1}
    assert not world.refused


def test_what_is_muted_before_people_were_told_is_told_once_it_is_over(world: World) -> None:
    world.network.fault = lambda asked: "cut_before"
    page(world, severity=Severity.WARNING)
    world.deliver()
    world.alerts.silence(START + timedelta(hours=1), "moving")
    world.settle()
    assert not world.github.issues
    world.later(minutes=61)
    world.alerts.update_mutes()
    world.settle()
    assert len(world.github.open) == 1


@both
def test_of_two_deliverers_one_sends(world: World) -> None:
    for number in range(30):
        page(world, str(number))
    others = [world.another_delivery() for _ in range(2)]
    threads = [threading.Thread(target=other.deliver, args=("bus",)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked_of(world, "bus")) == len(world.bus.taken) == 30


def test_an_entry_with_open_alerts_cannot_be_removed(world: World, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text('channels: {prom: {type: alertmanager, url: "http://prom"}}\nroutes: [{critical: [prom]}]\n')
    page(world)
    with pytest.raises(InvalidPolicyError, match="bus, oncall was told of alerts that are open, and MLOPS_CHANNELS"):
        check_channels(file, world.database)
    end(world)
    check_channels(file, world.database)


@pytest.mark.parametrize("channel", ["oncall", "tickets"])
def test_a_key_or_repository_that_is_changed_while_alerts_are_open_is_refused_or_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    page(world, severity=Severity.CRITICAL if channel == "oncall" else Severity.WARNING)
    world.deliver()
    if channel == "oncall":
        monkeypatch.setenv("TEST_PD", "f" * 32)
    changed = {**CHANNELS, "tickets": {**CHANNELS["tickets"], "repository": "acme/other"}}
    file = tmp_path / "channels.yaml"
    file.write_text(json.dumps({"channels": changed, "routes": ROUTES}))
    with pytest.raises(InvalidPolicyError, match=f"{channel} has told of alerts that are open by another key"):
        check_channels(file, world.database)

    # Whoever delivers by the changed file all the same closes nothing that is not there, and says so elsewhere.
    world.routing = Routing.model_validate({"channels": changed, "routes": ROUTES})
    world.pager.key = "f" * 32
    after = world.another_delivery()
    asked = len(asked_of(world, "github"))
    end(world)
    after.deliver(channel)
    (dead,) = entries(world, channel, State.DEAD)
    place = "integration key with the SHA-256" if channel == "oncall" else "http://github/repos/acme/ml"
    assert place in dead.error
    assert "close it there by hand" in dead.error
    assert KEY not in dead.error
    assert Rule.CHANNEL_BROKEN in {alert.rule for alert in world.alerts.list()}
    assert len(asked_of(world, "github")) == asked, "no issue of that number in another repository is touched"


def test_messages_are_removed_after_90_days_and_those_of_open_alerts_are_kept(world: World) -> None:
    page(world, "open")
    page(world, "over")
    world.deliver()
    end(world, "over")
    world.alerts.tell("churn", Notice.PROMOTED, "2.0.0 is champion")
    world.deliver()
    before = len(world.letters.list(list(State)))
    world.later(days=89)
    assert world.letters.tidy() == 0
    page(world, "fresh")
    world.later(days=1, seconds=1)
    assert world.letters.tidy() == before - 3
    assert {entry.key for entry in world.letters.list(list(State))} == {key("open"), key("fresh")}
    end(world, "open")
    world.settle()
    assert key("open") not in world.pager.open


def test_ten_thousand_waiting_messages_are_sent_at_over_fifty_a_second(world: World) -> None:
    page(world)
    with closing(sqlite3.connect(world.database.removeprefix("sqlite:///"))) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(outbox)") if row[1] not in ("id", "alert")]
        changed = {"event": "event + value", "key": "key || value"}
        values = [changed.get(each, each) for each in columns]
        connection.execute(
            f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 10000) "  # noqa: S608  # names of columns
            f"INSERT INTO outbox ({', '.join(columns)}) SELECT {', '.join(values)} FROM outbox, n WHERE channel = 'bus'"
        )
    world.network.fault = lambda asked: None if len(world.network.requests) <= 100 else Reply(429)
    begin = time.process_time()  # of a busy machine, the rest of the time is others'
    assert world.delivery.deliver("bus") == 100
    assert 100 / (time.process_time() - begin) > 50


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), ("-5", 0), ("1e9", 3600), ("inf", 3600), ("nan", 3600), ("soon", None), ("", None)],
)
def test_retry_after_is_read_as_a_number_of_at_most_an_hour(header: str, seconds: int | None) -> None:
    found = retry_after(Answer(429, {"retry-after": header}, b""))
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_a_date_in_retry_after_is_waited_for() -> None:
    assert retry_after(Answer(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")) == timedelta()


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 410, 413, 422])
def test_a_status_that_does_not_change_is_final(status: int) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, headers={"location": "http://other/"}))
    with pytest.raises(ChannelRefusedError, match=str(status)):
        Http(transport).request("POST", "http://host/")


def test_a_server_that_is_slow_or_hangs_up_is_tried_later() -> None:
    class Cut:
        refused: list[str] = []  # noqa: RUF012

        def answer(self, _asked: Asked) -> Reply:
            return Reply(200)

    class Always(random.Random):
        def random(self) -> float:
            return 0.05

    with on_loopback(Cut(), Always()) as address, pytest.raises(TryLaterError, match="may have arrived") as caught:
        Http().request("POST", address, b"{}")
    assert caught.value.taken
    with pytest.raises(TryLaterError, match="no connection") as caught:
        Http().request("POST", address, b"{}")
    assert not caught.value.taken
