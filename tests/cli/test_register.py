import json
from hashlib import sha256
from pathlib import Path

import pytest

from mlops_dagster.registry import ModelRegistry

CARD = """
intended_use: Holds a payment.
failure_modes: [new merchants]
provenance: {dataset: payments, digest: ab12, start: 2026-01-01T00:00:00Z, end: 2026-02-01T00:00:00+01:00, rows: 10}
"""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_text("bytes")
    return path


def test_a_version_is_registered_with_all_that_is_known(mlops, artifact: Path, registry: ModelRegistry) -> None:
    card = artifact.with_name("card.yaml")
    card.write_text(CARD)
    digest = sha256(b"bytes").hexdigest()
    more = ("--tag", "env=prod", "--tag", "q=a=b", "--metric", "accuracy=0.9", "--lineage", "commit=c0", "--card", card)
    done = mlops("models", "register", "churn", artifact, "--version", "v2.0.0", "--description", "höher", *more)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"churn 2.0.0 registered: {digest}\n", "")
    found = registry.get("churn", "2.0.0")
    assert (found.tags, found.metrics, found.lineage) == (
        {"env": "prod", "q": "a=b"},
        {"accuracy": 0.9},
        {"commit": "c0"},
    )
    assert (found.description, found.card.intended_use) == ("höher", "Holds a payment.")
    assert registry.history("churn")[0].actor == "ada"

    shown = json.loads(mlops("models", "show", "churn", "2.0.0", "--json").stdout)
    assert shown["trained"] == "2026-01-31T23:00:00Z"

    again = mlops("models", "register", "churn", artifact, "--version", "2.0.0", "--tag", "env=test", "--json")
    assert json.loads(again.stdout) == {"model": "churn", "version": "2.0.0", "digest": digest, "existed": True}
    assert "stays as it was" in again.stderr
    assert registry.get("churn", "2.0.0") == found
    following = mlops("models", "register", "churn", artifact, "--json")
    assert json.loads(following.stdout) == {"model": "churn", "version": "2.0.1", "digest": digest, "existed": False}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tag", "env"], "'env' is not key=value"),
        (["--tag", "=prod"], "'=prod' is not key=value"),
        (["--lineage", "a=1", "--lineage", "a=2"], "'a' is given twice"),
        (["--metric", "accuracy=good"], "accuracy='good' is not a finite number"),
        (["--metric", "accuracy=nan"], "accuracy='nan' is not a finite number"),
        (["--card", "nowhere.json"], "does not exist"),
    ],
)
def test_what_is_typed_wrong_is_a_usage_error(mlops, artifact: Path, arguments: list[str], said: str) -> None:
    done = mlops("models", "register", "churn", artifact, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.replace("│", "").split())
    assert mlops("models", "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("card.json", '{"evaluation": [{"name": "overall"}], "oops": 1}', "evaluation.0.rows: Field required"),
        ("card.json", '{"evaluation": [{"name": "overall"}], "oops": 1}', "oops: Extra inputs are not permitted"),
        ("card.json", "{", "Invalid JSON"),
        ("card.yaml", "provenance: {start: 2026-01-01}", "provenance.start: Input should have timezone info"),
        ("card.yaml", "[not, a, card]", "Input should be a valid dictionary"),
        ("card.yaml", "a: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_card_is_named_field_by_field(mlops, artifact: Path, name: str, text: str, said: str) -> None:
    card = artifact.with_name(name)
    card.write_text(text)
    done = mlops("models", "register", "churn", artifact, "--card", card)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "(invalid_input)" in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert mlops("models", "list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["churn", "nowhere.onnx"], "artifact_not_found"),
        (["churn", "gopher://models/1"], "invalid_input"),
        (["two words", "{artifact}"], "invalid_name"),
        (["churn", "{artifact}", "--version", "new"], "invalid_version"),
        (["churn", "{pickle}"], "unsafe_artifact"),
    ],
)
def test_what_cannot_be_registered_is_refused(mlops, artifact: Path, arguments: list[str], code: str) -> None:
    pickle = artifact.with_name("model.pkl")
    pickle.write_bytes(b"\x80\x04N.")
    done = mlops("models", "register", *(each.format(artifact=artifact, pickle=pickle) for each in arguments))
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"({code})" in done.stderr


def test_other_bytes_under_a_version_are_refused(mlops, artifact: Path) -> None:
    assert mlops("models", "register", "churn", artifact, "--version", "1.0.0").exit_code == 0
    artifact.write_text("others")
    done = mlops("models", "register", "churn", artifact, "--version", "1.0.0", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "(version_exists)" in done.stderr
