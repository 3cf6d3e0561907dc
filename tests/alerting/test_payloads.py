"""The requests that each kind of channel makes, byte for byte as their golden files have them."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.alerting import Reading, Rule, Severity
from mlops_dagster.alerting.alert import FLEET
from mlops_dagster.alerting.channels.apprise import text_of
from mlops_dagster.alerting.channels.commands import _COMMANDS
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.channels.pagerduty import MOST_BYTES, body_of
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.alerting.rule import Notice
from mlops_dagster.cli import app
from tests.support.channels.github import TOKEN
from tests.support.channels.pagerduty import KEY
from tests.support.channels.receivers import SECRET
from tests.support.channels.world import START, World, sqlite

GOLDEN = Path(__file__).parent / "payloads"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One alert that opens, gets worse, is acknowledged and ends, and a promotion, all delivered."""
    with pytest.MonkeyPatch.context() as environment:
        world = World(sqlite(tmp_path_factory.mktemp("world")), environment)
        reading = Reading(92.2, 91.1, 93.2, 3104, 93, "%", "labels", timedelta(hours=24))
        worse = Reading(90.2, 89.1, 91.2, 3104, 91, "%", "labels", timedelta(hours=24))
        for value, severity in ((reading, Severity.WARNING), (worse, Severity.CRITICAL)):
            alert = world.alerts.report(
                "classifier-prod",
                Rule.ACCURACY,
                severity,
                "the accuracy is proven to be under its limit",
                version="2.4.1",
                reading=value,
                since=START - timedelta(hours=30),
                done="retraining started",
                evidence={"n": 3104},
            )
            world.deliver()
            world.later(minutes=12)
        world.alerts.acknowledge(alert.id, "I look at the feed")
        world.deliver()
        world.later(minutes=3)
        world.alerts.resolve("classifier-prod", Rule.ACCURACY, "accuracy is 94.1 % again")
        world.alerts.tell("classifier-prod", Notice.PROMOTED, "2.4.2 is champion", version="2.4.2", done="all traffic")
        world.deliver()
        world.close()
        assert not world.refused
        return world


@pytest.mark.parametrize("host", ["pagerduty", "github", "bus", "prom"])
def test_requests_are_as_their_golden_file_has_them(world: World, host: str) -> None:
    found = [
        {
            "request": f"{asked.method} {asked.path}",
            "headers": {name: asked.headers[name] for name in sorted(asked.headers) if name not in _OF_HTTP},
            "body": None if not asked.body else json.loads(asked.body),
        }
        for to, asked in world.network.requests
        if to == host
    ]
    text = json.dumps(found, indent=2, sort_keys=True) + "\n"
    for secret in (KEY, TOKEN, SECRET):
        text = text.replace(secret, "***")
    golden = GOLDEN / f"{host}.json"
    if "UPDATE_SNAPSHOT" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text(), "meant? UPDATE_SNAPSHOT=1 pytest tests/alerting/test_payloads.py"


_OF_HTTP = {"host", "accept-encoding", "connection", "content-length"}


def test_a_message_says_what_broke_where_since_when_and_what_to_do(world: World) -> None:
    sent = [entry for entry in world.letters.list([State.SENT]) if entry.channel == "oncall"]
    opened = next(entry.message for entry in sent if entry.action is Action.OPEN)
    assert opened.title == (
        "[CRITICAL] classifier-prod 2.4.1: accuracy 90.2 % (89.1-91.2, 3,104 labels, 24 h), limit 91 %"
    )
    text = text_of(opened, Action.OPEN)
    for fact in (
        "the accuracy is proven to be under its limit",
        "Value: 90.2 % (89.1-91.2, 3,104 labels, 24 h)",
        "Limit: 91 %",
        "Since: 2025-12-31 06:00 UTC",
        "Done by the platform: retraining started",
        "To do: mlops alerts show 1",
        "Control room: https://board.test",
        "Runbook: https://docs.test/runbooks/accuracy.html",
        "Dagster: https://dagster.test/assets/classifier_prod/deployment",
    ):
        assert fact in text
    ended = next(entry.message for entry in sent if entry.action is Action.RESOLVE)
    assert ended.title.startswith("[RESOLVED] classifier-prod 2.4.1: accuracy 90.2 %")
    assert text_of(ended, Action.RESOLVE).startswith("Resolved. accuracy is 94.1 % again")


def test_a_body_that_pagerduty_would_refuse_loses_its_details_first(world: World) -> None:
    message = next(entry.message for entry in world.letters.list([State.SENT]) if entry.action is Action.OPEN)
    huge = message.model_copy(update={"done": "x" * MOST_BYTES, "title": "y" * 2000})
    event = json.loads(body_of(huge, Action.OPEN, KEY))
    assert "custom_details" not in event["payload"]
    assert len(event["payload"]["summary"]) == 1024


@pytest.mark.parametrize("rule", _COMMANDS)
def test_the_command_of_a_message_exists(rule: str) -> None:
    from typer.main import get_command

    command = get_command(app)
    for word in _COMMANDS[rule].split()[1:]:
        found = getattr(command, "commands", {}).get(word)
        if found is None:
            break
        command = found
    assert not hasattr(command, "commands"), f"{_COMMANDS[rule]}: a group, and no command"
    options = {option for each in command.params for option in each.opts}
    assert set(re.findall(r"--\w+", _COMMANDS[rule])) <= options


def test_an_alert_about_the_platform_names_no_model(world: World) -> None:
    message = next(iter(world.letters.list([State.SENT]))).message.model_copy(update={"model": FLEET, "version": None})
    assert message.about == "all models"
