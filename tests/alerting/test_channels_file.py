"""A file of channels says all of its mistakes at once, with their lines, and holds no secret."""

from pathlib import Path

import pytest

from mlops_dagster.alerting import Severity
from mlops_dagster.alerting.channels.opening import open_channel
from mlops_dagster.alerting.routing.channels_file import read_channels
from mlops_dagster.alerting.routing.coverage import gaps
from mlops_dagster.clock import SystemClock
from mlops_dagster.errors import InvalidPolicyError

GOOD = """\
channels:
  oncall: {type: pagerduty, routing_key: "${PD}"}
  search-oncall: {type: pagerduty, routing_key_file: keys/pd}
  tickets: {type: github, repository: acme/ml, token_file: keys/gh}
  bus: {type: webhook, url: https://hooks.acme.io/mlops, secret_file: keys/hook}
  prom: {type: alertmanager, url: "http://alertmanager:9093/"}
  chat: {type: apprise, url_file: keys/slack}
routes:
  - {owner: "team:search", critical: [search-oncall, chat], warning: [tickets]}
  - {critical: [oncall], warning: [tickets], info: []}
escalate: {unacknowledged_minutes: 15, to: [chat]}
"""


def test_the_first_route_of_an_owner_applies(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(GOOD)
    routing = read_channels(tmp_path / "channels.yaml")
    assert routing.channels_for(["ada@acme.io", "team:search"], Severity.CRITICAL) == ("search-oncall", "chat")
    assert routing.channels_for(["team:search"], Severity.INFO) == ()
    assert routing.channels_for([], Severity.CRITICAL) == ("oncall",)
    assert routing.repeat_hours == 24


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"${PD}"', "e93facc04764012d7bfb002500d5d1a6", "line 2, channels.oncall.routing_key: a secret does not stand"),
        (', routing_key: "${PD}"', "", "line 2, channels.oncall: one of routing_key and routing_key_file"),
        ("pagerduty, routing_key_file", "pager, routing_key_file", "line 3, channels.search-oncall: Input tag 'pager'"),
        ("acme/ml", "ml", "line 4, channels.tickets.repository: 'ml' is not owner/name"),
        ("https://hooks.acme.io", "https://ada:pw@hooks.acme.io", "line 5, channels.bus.url: it is not an address"),
        ("https://hooks.acme.io/mlops", "https://hooks.acme.io/?token=x", "line 5, channels.bus.url: it is not an add"),
        ("url_file: keys/slack", "url: slack://a/b/c", "line 7, channels.chat.url: Apprise's URLs hold secrets"),
        ("team:search", "search", "line 9, routes.0.owner: String should match"),
        ("search-oncall, chat]", "search-oncall, chatt]", "line 9, routes.0.critical.1: 'chatt' is not one of"),
        ("  - {critical: [oncall]", '  - {owner: "team:a", critical: [oncall]', "line 8, routes: the last route names"),
        ("  - {crit", "  - {warning: []}\n  - {crit", "line 8, routes: route 2 names no owner, so that those after it"),
        ("  - {crit", '  - {owner: "team:search"}\n  - {crit', "line 8, routes: route 2 names team:search again"),
        ("to: [chat]", "to: [nobody]", "line 11, escalate.to.0: 'nobody' is not one of the channels"),
        ("escalate:", "escalation:", "line 11, escalation: Extra inputs are not permitted"),
        ("prom:", "oncall:", "the key 'oncall' stands on line 2 and again on line 6"),
        ("prom:", "On Call:", "line 1, channels: 'On Call' cannot name a channel"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in GOOD
    (tmp_path / "channels.yaml").write_text(GOOD.replace(before, after, 1))
    with pytest.raises(InvalidPolicyError) as caught:
        read_channels(tmp_path / "channels.yaml")
    assert told in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("e93facc", "pw@", "token=x", "slack://"))


def test_routes_that_no_model_needs_and_models_that_no_route_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(GOOD)
    routing = read_channels(tmp_path / "channels.yaml")
    assert gaps(routing, {"ranker": ["team:search"], "churn": []}) == []
    assert gaps(routing, {"churn": ["team:crm", "ada@acme.io"]}) == [
        "no model has the owner team:search that a route names",
        "no route names an owner of churn: the last route tells of them",
    ]
    silent = GOOD.replace("critical: [oncall], ", "")
    (tmp_path / "channels.yaml").write_text(silent)
    found = gaps(read_channels(tmp_path / "channels.yaml"), {"ranker": ["team:search"], "churn": []})
    assert found == ["nobody is told of critical alerts about churn: their route names no channel for them"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(GOOD.replace("acme/ml", "ml").replace("team:search", "search"))
    with pytest.raises(InvalidPolicyError, match=r"line 4, .*; line 9, "):
        read_channels(tmp_path / "channels.yaml")


def test_a_secret_that_cannot_be_read_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "channels.yaml").write_text(GOOD)
    specs = read_channels(tmp_path / "channels.yaml").channels
    monkeypatch.delenv("PD", raising=False)
    with pytest.raises(InvalidPolicyError, match="'oncall' cannot be used: the variable PD is not set"):
        open_channel("oncall", specs["oncall"], SystemClock())
    with pytest.raises(InvalidPolicyError, match="'tickets' cannot be used: the secret in the file 'keys/gh'"):
        open_channel("tickets", specs["tickets"], SystemClock())
    monkeypatch.setenv("PD", " key\n")
    assert open_channel("oncall", specs["oncall"], SystemClock()).hidden("bad key") == "bad ***"
