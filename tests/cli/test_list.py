import json

from mlops_dagster.registry import ModelRegistry


def test_the_list_says_who_serves(fleet: ModelRegistry, mlops) -> None:
    listed = mlops("models", "list")
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert [line.rstrip() for line in listed.stdout.splitlines()] == [
        "version      model   trained      accuracy   status        deployment",
        "─" * 71,
        "1.0.0        churn   2026-01-31     0.9500   Production    95 % traffic",
        "1.1.0        churn   2026-01-31     0.9500   Rolled back   -",
        "1.2.0        churn   2026-01-31     0.9500   Canary        5 % traffic",
        "1.3.0-rc.1   churn   2026-01-31     0.9500   Shadow        logs only",
        "2.0.0        churn   2026-01-01     0.5000   Registered    -",
    ]


def test_the_list_says_the_same_to_programs(fleet: ModelRegistry, mlops) -> None:
    listed = json.loads(mlops("models", "list", "churn", "--json").stdout)
    assert listed[2] == {
        "model": "churn",
        "version": "1.2.0",
        "trained": "2026-01-31T00:00:00Z",
        "accuracy": 0.95,
        "stage": "Canary",
        "rolled_back": False,
        "role": "canary",
        "traffic": 0.05,
        "on_hold": None,
    }
    assert [(each["role"], each["traffic"], each["rolled_back"]) for each in listed] == [
        ("champion", 0.95, False),
        (None, 0, True),
        ("canary", 0.05, False),
        ("shadow", 0, False),
        (None, 0, False),
    ]


def test_an_empty_registry_is_an_empty_table_and_a_hint(mlops) -> None:
    listed = mlops("models", "list")
    assert listed.exit_code == 0
    assert listed.stdout.startswith("version")
    assert "mlops models register" in listed.stderr
    assert json.loads(mlops("models", "list", "--json").stdout) == []


def test_history_tells_every_change_in_one_line(fleet: ModelRegistry, mlops) -> None:
    lines = mlops("models", "history", "churn").stdout.splitlines()
    assert len(lines) == 2 + len(fleet.history("churn"))
    assert "2026-01-01 00:00 transition 1.1.0 Production ada so [red]good[/red]" in [
        " ".join(line.split()) for line in lines
    ]
    assert any(line.rstrip().endswith("it was not") for line in lines)


def test_history_of_a_version(fleet: ModelRegistry, mlops) -> None:
    found = json.loads(mlops("models", "history", "churn", "--version", "v1.1.0", "--json").stdout)
    assert [(event["kind"], event["to_stage"], event["reason"]) for event in found] == [
        ("registered", "Registered", ""),
        ("transition", "Production", "so [red]good[/red]"),
        ("rollback", "Deprecated", "it was not"),
    ]
    assert set(found[0]) == {
        *("id", "at", "recorded_at", "kind", "model", "version", "from_stage", "to_stage"),
        *("actor", "reason", "epoch", "evidence", "hash"),
    }
    assert (found[0]["at"], found[0]["actor"]) == ("2026-01-01T00:00:00Z", "ada")
