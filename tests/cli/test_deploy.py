import json

import pytest

from mlops_dagster.registry import GatePolicy, ModelRegistry


def test_promote_says_who_was_champion(registry: ModelRegistry, add, mlops) -> None:
    add("1.0.0")
    add("1.1.0-rc.1")
    first = mlops("models", "promote", "churn", "1.0.0", "--reason", "r")
    assert (first.exit_code, first.stdout) == (0, "churn: champion is 1.0.0, the first; epoch 1\n")
    second = mlops("models", "promote", "churn", "1.1.0-rc.1", "--reason", "better", "--json")
    assert json.loads(second.stdout) == {
        "model": "churn",
        "old_champion": "1.0.0",
        "champion": "1.1.0",
        "epoch": 2,
        "forced_past": [],
    }
    assert (registry.history("churn")[-1].actor, registry.history("churn")[-1].reason) == (
        "ada",
        "released as 1.1.0: better",
    )


def test_a_closed_gate_refuses_unless_forced(fleet: ModelRegistry, mlops) -> None:
    refused = mlops("models", "promote", "churn", "2.0.0", "--reason", "r")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "error (incomplete_card): " in refused.stderr
    assert fleet.deployment("churn").champion == "1.0.0"
    nameless = mlops("models", "promote", "churn", "2.0.0", "--force", "--reason", " ")
    assert (nameless.exit_code, "(invalid_input)" in nameless.stderr) == (1, True)
    forced = mlops("models", "promote", "churn", "2.0.0", "--force", "--reason", "the house burns")
    assert forced.exit_code == 0
    assert forced.stdout.startswith("churn: champion is 2.0.0, in place of 1.0.0; epoch ")
    assert forced.stdout.endswith("forced past incomplete_card, validation_gate, quality_gate\n")
    (event,) = (event for event in fleet.history("churn") if event.kind == "forced")
    assert (event.actor, event.reason) == ("ada", "the house burns")


def test_rollback_goes_one_back(registry: ModelRegistry, add, mlops) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        registry.transition(add(version), "Production")
    back = mlops("models", "rollback", "churn", "--reason", "complaints")
    assert (back.exit_code, back.stdout) == (0, "churn: champion is 1.1.0, in place of 1.2.0; epoch 4\n")
    far = mlops("models", "rollback", "churn", "--reason", "more", "--to", "1.0.0", "--json")
    assert json.loads(far.stdout) == {"model": "churn", "old_champion": "1.1.0", "champion": "1.0.0", "epoch": 5}
    same = mlops("models", "rollback", "churn", "--reason", "more", "--to", "1.0.0")
    assert same.stdout == "churn: champion is 1.0.0, as before; epoch 5\n"


def test_somebody_else_approves(registry: ModelRegistry, add, mlops, monkeypatch: pytest.MonkeyPatch) -> None:
    add("1.0.0")
    ask = ("models", "request-approval", "churn", "1.0.0", "--reason", "please")
    assert "(approval)" in mlops(*ask).stderr
    registry.publish_policies("churn", {"gates": GatePolicy(approvers=("bob",))})
    assert mlops(*ask).stdout == "churn 1.0.0: approval requested; closed gates: approval\n"
    themselves = mlops("models", "approve", "churn", "1.0.0", "--reason", "fine")
    assert (themselves.exit_code, "(approval)" in themselves.stderr) == (1, True)

    monkeypatch.setenv("LOGNAME", "bob")
    no = json.loads(mlops("models", "reject", "churn", "1.0.0", "--reason", "not [yet]", "--json").stdout)
    assert (no.pop("gates")[0]["code"], no) == ("approval", {"model": "churn", "version": "1.0.0", "done": "rejected"})
    yes = mlops("models", "approve", "churn", "1.0.0", "--reason", "now")
    assert (yes.exit_code, yes.stdout) == (0, "churn 1.0.0: approved; every gate is open\n")
    shown = json.loads(mlops("models", "show", "churn", "1.0.0", "--json").stdout)
    assert [(event["kind"], event["actor"], event["reason"]) for event in shown["approvals"]] == [
        ("approval_requested", "ada", "please"),
        ("rejected", "bob", "not [yet]"),
        ("approved", "bob", "now"),
    ]
    assert mlops("models", "promote", "churn", "1.0.0", "--reason", "approved").exit_code == 0


NAMED = [
    ["show", "{}", "{}"],
    ["card", "{}", "{}"],
    ["check", "{}", "{}"],
    ["compare", "{}", "{}", "1.0.0"],
    ["compare", "{}", "1.0.0", "{}"],
    ["history", "{}", "--version", "{}"],
    ["promote", "{}", "{}", "--reason", "r"],
    ["rollback", "{}", "--reason", "r", "--to", "{}"],
    ["request-approval", "{}", "{}", "--reason", "r"],
    ["approve", "{}", "{}", "--reason", "r"],
    ["reject", "{}", "{}", "--reason", "r"],
]


@pytest.mark.parametrize(
    ("model", "version", "code"),
    [
        ("nope", "1.0.0", "model_not_found"),
        ("churn", "9.9.9", "version_not_found"),
        ("churn", "latest", "invalid_version"),
    ],
)
def test_what_is_not_there_is_said_with_its_code(
    fleet: ModelRegistry, mlops, model: str, version: str, code: str
) -> None:
    before = fleet.history("churn")
    for command in NAMED:
        names = iter((model, version))
        arguments = [next(names) if each == "{}" else each for each in command]
        for found in (mlops("models", *arguments), mlops("models", *arguments, "--json")):
            assert (found.exit_code, found.stdout) == (1, ""), arguments
            assert found.stderr.startswith(f"error ({code}): "), arguments
            assert found.stderr.count("\n") == 1
    assert fleet.history("churn") == before


def test_other_things_that_are_not_there(fleet: ModelRegistry, mlops) -> None:
    assert mlops("models", "list", "nope").stderr.startswith("error (model_not_found): ")
    no_card = mlops("models", "card", "churn", "2.0.0")
    assert (no_card.exit_code, no_card.stderr.startswith("error (not_found): churn 2.0.0 has no card")) == (1, True)
    never = mlops("models", "rollback", "churn", "--reason", "r", "--to", "2.0.0")
    assert (never.exit_code, never.stderr.startswith("error (transition_not_allowed): ")) == (1, True)


@pytest.mark.parametrize(
    "command", ["promote 1.2.0", "request-approval 1.2.0", "approve 1.2.0", "reject 1.2.0", "hold", "release"]
)
def test_a_change_without_a_reason_is_a_usage_error(fleet: ModelRegistry, mlops, command: str) -> None:
    name, *version = command.split()
    found = mlops("models", name, "churn", *version)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "--reason" in found.stderr


def test_a_model_on_hold_says_so_everywhere(fleet: ModelRegistry, mlops) -> None:
    epoch = fleet.deployment("churn").epoch
    held = mlops("models", "hold", "churn", "--reason", "bad rows")
    assert (held.exit_code, held.stdout) == (0, f"churn is on hold: bad rows; epoch {epoch + 1}\n")
    listed = [line.split(maxsplit=5)[-1].rstrip() for line in mlops("models", "list").stdout.splitlines()[2:]]
    assert listed[:3:2] == ["95 % traffic, on hold", "5 % traffic, on hold"]
    assert {each["on_hold"] for each in json.loads(mlops("models", "list", "--json").stdout)} == {"bad rows"}
    shown = [line.split(maxsplit=2) for line in mlops("models", "show", "churn", "1.0.0").stdout.splitlines()]
    assert ["on", "hold", "bad rows"] in [[word.strip() for word in line] for line in shown]
    again = json.loads(mlops("models", "hold", "churn", "--reason", "another", "--json").stdout)
    assert again == {"model": "churn", "on_hold": "bad rows", "epoch": epoch + 1}
    released = mlops("models", "release", "churn", "--reason", "mended")
    assert (released.exit_code, released.stdout) == (0, f"churn answers; epoch {epoch + 2}\n")
    assert "on hold" not in mlops("models", "list").stdout + mlops("models", "show", "churn", "1.0.0").stdout
    assert [(e.kind, e.actor, e.reason) for e in fleet.history("churn")[-2:]] == [
        ("held", "ada", "bad rows"),
        ("released", "ada", "mended"),
    ]
