import json

from mlops_dagster.registry import GatePolicy, ModelCard, ModelRegistry


def test_show_tells_everything(fleet: ModelRegistry, mlops) -> None:
    shown = json.loads(mlops("models", "show", "churn", "2.0.0", "--json").stdout)
    assert shown.pop("digest") == fleet.get("churn", "2.0.0").digest
    assert [gate["code"] for gate in shown.pop("gates")] == [
        "incomplete_card",
        "validation_gate",
        "quality_gate",
    ]
    assert shown == {
        "model": "churn",
        "version": "2.0.0",
        "trained": "2026-01-01T00:00:00Z",
        "accuracy": 0.5,
        "stage": "Registered",
        "rolled_back": False,
        "role": None,
        "traffic": 0,
        "on_hold": None,
        "registered": "2026-01-01T00:00:00Z",
        "description": "",
        "reason": "",
        "signed": False,
        "tags": {},
        "lineage": {},
        "metrics": {"accuracy": 0.5},
        "schema": None,
        "baseline": False,
        "card": False,
        "card_missing": ["provenance", "evaluation", "intended_use", "failure_modes", "fairness"],
        "can_prove": [],
        "approvals": [],
        "dagster": None,
    }


def test_show_for_people(registry: ModelRegistry, add, schemas, make_baseline, mlops) -> None:
    add(
        "1.0.0",
        tags={"env": "prod"},
        lineage={"commit": "c0ffee"},
        schema=schemas[0],
        baseline=make_baseline(1, 1),
        description="[bold]späte[/bold] Flüge \x1b[2J",
    )
    registry.publish_policies("churn", {"gates": GatePolicy(approvers=("bob",))})
    registry.request_approval(registry.get("churn", "1.0.0"), reason="please")
    lines = mlops("models", "show", "churn", "1.0.0").stdout.splitlines()
    shown = dict(line.rstrip().split(maxsplit=1) for line in lines if "approval" not in line)
    assert shown == {
        "model": "churn",
        "version": "1.0.0",
        "status": "Registered",
        "deployment": "-",
        "why": "-",
        "description": r"[bold]späte[/bold] Flüge \x1b[2J",
        "registered": "2026-01-01 00:00 UTC",
        "digest": registry.get("churn", "1.0.0").digest,
        "signature": "-",
        "tags": "env=prod",
        "lineage": "commit=c0ffee",
        "metrics": "-",
        "features": "age (numeric), country (categorical)",
        "classes": "stays, leaves",
        "baseline": "present",
        "card": "complete",
        "provable": "-",
    }
    gate, request = [" ".join(line.split()) for line in lines if "approval" in line]
    assert gate.startswith("gate approval: churn 1.0.0 may not enter production: bob must approve")
    assert request == "approval requested 2026-01-01 00:00 ada: please"


def test_a_card_is_markdown_in_a_pipe_and_can_be_registered_again(fleet: ModelRegistry, mlops, tmp_path) -> None:
    card = fleet.get("churn", "1.0.0").card
    assert mlops("models", "card", "churn", "1.0.0").stdout == f"# churn 1.0.0\n\n{card.to_markdown()}"
    path = tmp_path / "card.json"
    path.write_text(mlops("models", "card", "churn", "1.0.0", "--json").stdout)
    assert ModelCard.model_validate_json(path.read_text()) == card
    assert mlops("models", "register", "other", path, "--card", path).exit_code == 0
    assert fleet.get("other", "1.0.0").card == card


def test_check_names_the_closed_gates(fleet: ModelRegistry, mlops) -> None:
    closed = mlops("models", "check", "churn", "2.0.0")
    assert closed.exit_code == 1
    assert [line.split()[0] for line in closed.stdout.splitlines()[2:]] == [
        "incomplete_card",
        "validation_gate",
        "quality_gate",
    ]
    document = json.loads(mlops("models", "check", "churn", "2.0.0", "--json").stdout)
    assert set(document) == {"model", "version", "gates"}
    assert set(document["gates"][0]) == {"code", "message"}
    opened = mlops("models", "check", "churn", "v1.2.0")
    assert (opened.exit_code, opened.stdout) == (0, "churn 1.2.0 may enter production\n")
    assert mlops("models", "check", "churn", "1.2.0", "--json").exit_code == 0


def test_a_card_as_a_page(fleet: ModelRegistry, mlops, tmp_path) -> None:
    page = tmp_path / "card.html"
    assert mlops("models", "card", "churn", "1.1.0", "--html", str(page)).exit_code == 0
    assert "churn 1.1.0" in page.read_text()
    refused = mlops("models", "card", "churn", "1.1.0", "--html", str(tmp_path / "no" / "card.html"))
    assert (refused.exit_code, "storage" in refused.stderr) == (1, True)


def test_pages_and_commands_link_to_dagster(registry: ModelRegistry, add, mlops, tmp_path, monkeypatch) -> None:
    add("1.0.0", lineage={"dagster_run": "886cb5fa"})
    add("1.1.0")
    run, page = "https://dagster.example.com/ops/runs/886cb5fa", tmp_path / "card.html"
    mlops("models", "card", "churn", "1.0.0", "--html", str(page))
    assert "dagster" not in page.read_text().lower()
    monkeypatch.setenv("MLOPS_DAGSTER_URL", "https://dagster.example.com/ops/")
    mlops("models", "card", "churn", "1.0.0", "--html", str(page))
    assert f'<a href="{run}">' in page.read_text()
    assert run in mlops("models", "show", "churn", "1.0.0").stdout
    assert json.loads(mlops("models", "show", "churn", "1.0.0", "--json").stdout)["dagster"] == run
    assert "Dagster" not in mlops("models", "show", "churn", "1.1.0").stdout, "no run of Dagster made it"
    for odd in ("javascript:alert(1)", "dagster.example.com", "https://ada:secret@dagster.example.com"):
        monkeypatch.setenv("MLOPS_DAGSTER_URL", odd)
        refused = mlops("models", "list")
        assert refused.exit_code == 1
        assert "is not an address that a browser opens" in refused.stderr
        assert "secret" not in refused.stderr
