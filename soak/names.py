"""Random spellings of models, features, ids and homes: each works everywhere, or is refused at once by name."""

import random
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.inference import arrow_column
from mlops_dagster.names import check_feature_name, check_model_name, fold_model
from mlops_dagster.predictions import audit
from mlops_dagster.schema import Feature
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import MARCH, a_record

_PIECES = (
    "gate",
    "Gate",
    "GATE",
    "ﬁ",
    "ß",
    "ss",
    "ı",
    "I",
    "İ",
    "Å",
    "\u212b",
    "e\u0301",
    "é",
    "%20",
    "%2F",
    "..",
    "/",
)
_MORE = (
    "\\",
    "#",
    "?",
    "*",
    "[a]",
    "'",
    '"',
    "`",
    "$HOME",
    "~",
    "-",
    "_",
    "__text",
    "__number",
    " ",
    "\n",
    "\0",
    "con",
)
_RARE = (
    "\u200b",
    "\u202e",
    "\ufe0f",
    "\U0001f680",
    "\ud800",
    "שדה",
    "温度",
    "a.b",
    "|",
    "^",
    "{}",
    ";",
    ":",
    "feature_",
    "s3:",
)


def attack(seconds: float) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - not for secrets
    chance, deadline, tried = random.Random(seed), time.monotonic() + seconds, Counter[str]()  # noqa: S311
    while time.monotonic() < deadline:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            _try_home(Path(folder), chance, tried)
    print(f"names: {dict(tried)}; seed {seed}")


def _spelling(chance: random.Random) -> str:
    letters = (chr(chance.randrange(sys.maxunicode)), chr(chance.randrange(128)))
    return "".join(chance.choice((*_PIECES, *_MORE, *_RARE, *letters)) for _ in range(chance.randint(1, 4)))


def _try_home(root: Path, chance: random.Random, tried: Counter[str]) -> None:
    name = _spelling(chance)
    if "/" in name or name in {".", ".."}:
        return
    try:
        stores = Stores(Settings(home=root / name), actor="soak")
    except (InvalidInputError, OSError):
        tried["homes refused"] += 1
        assert list(root.iterdir()) == [], name
        return
    (root / "artifact").write_text("weights")
    models: dict[str, list[dict[str, float | str]]] = {}
    for _ in range(6):
        model = _spelling(chance) if chance.random() < 0.5 else chance.choice(("shop", "shop-rollout", "Shop", "s_p"))
        try:
            stores.registry.register(check_model_name(model), root / "artifact")
        except InvalidInputError:
            tried["models refused"] += 1
            continue
        models[model] = []
    assert len({fold_model(model) for model in models}) == len(models)
    for number in range(8 * len(models)):
        model = chance.choice(list(models))
        row = {each: chance.choice((1.5, "x")) for _ in range(3) if (each := _feature(chance, tried))}
        models[model].append(row)
        identity = _spelling(chance).encode(errors="replace").decode()
        record = a_record(number, model=model, features=row, prediction_id=identity, request=f"r{number}")
        stores.spool.append([record])
        if chance.random() < 0.3:
            stores.log.ship(stores.spool)
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    stores.log.ship(stores.spool)
    assert stores.spool.held.tables() == [], stores.spool.held.tables()
    assert sorted(stores.log.models()) == sorted(model for model, rows in models.items() if rows)
    assert audit(stores.spool, stores.log).complete
    for model, rows in models.items():
        _compare(stores, model, rows)
    assert {each.name for each in root.iterdir()} == {name, "artifact"}
    tried.update({"homes": 1, "models": len(models), "rows": sum(map(len, models.values()))})
    stores.spool.close()


def _feature(chance: random.Random, tried: Counter[str]) -> str | None:
    name = _spelling(chance)
    try:
        return check_feature_name(name)
    except InvalidInputError:
        tried["features refused"] += 1
        return None


def _compare(stores: Stores, model: str, rows: list[dict[str, float | str]]) -> None:
    """Every value is read back under the name and the kind under which it was sent."""
    read = stores.log.labelled(model, MARCH, MARCH + timedelta(days=1))
    for name in {name for row in rows for name in row}:
        for feature, kind in (
            (Feature(name=name, kind="numeric"), float),
            (Feature(name=name, kind="categorical"), str),
        ):
            found = arrow_column(read, feature)
            sent = [row[name] if isinstance(row.get(name), kind) else None for row in rows]
            assert (found.to_pylist() if found is not None else [None] * len(rows)) == sent, (model, name)
