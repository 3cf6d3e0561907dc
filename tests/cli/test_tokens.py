"""`mlops tokens`."""

import json
from pathlib import Path

from mlops_dagster.access.token_file import TokenFile
from mlops_dagster.access.tokens import Scope, find


def test_a_token_is_shown_once_listed_and_revoked(mlops, home: Path) -> None:
    created = mlops("tokens", "create", "shop", "--scope", "infer", "--scope", "feedback")
    assert created.exit_code == 0
    secret = created.stdout.strip()
    token = find(TokenFile(home / "tokens.json").read() or (), secret)
    assert token is not None
    assert (token.name, token.scopes, token.created_by) == ("shop", (Scope.INFER, Scope.FEEDBACK), "ada")

    listed = mlops("tokens", "list").stdout
    assert listed.splitlines()[-1].split()[:3] == ["shop", "infer,", "feedback"]
    (shown,) = json.loads(mlops("tokens", "list", "--json").stdout)
    assert (shown["name"], shown["scopes"], shown["created_by"]) == ("shop", ["infer", "feedback"], "ada")
    assert not any(each in listed + json.dumps(shown) for each in (secret, token.sha256))

    assert mlops("tokens", "revoke", "shop").exit_code == 0
    assert mlops("tokens", "list", "--json").stdout == "[]\n"


def test_what_cannot_be_done_is_said(mlops, home: Path) -> None:
    assert mlops("tokens", "list").exit_code == 0
    missing = mlops("tokens", "revoke", "shop")
    assert (missing.exit_code, "no token 'shop'" in missing.stderr) == (1, True)
    assert mlops("tokens", "create", "shop").exit_code == 2
    assert mlops("tokens", "create", "shop", "--scope", "all").exit_code == 2
    assert mlops("tokens", "create", "the shop", "--scope", "infer").exit_code == 1
