"""What strangers hand in, made up at random: each target takes it, and raises nothing but errors of ours."""

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import skops.io
import typer
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sqlalchemy import text
from typer.testing import CliRunner

from mlops_dagster.access.token_file import TokenFile
from mlops_dagster.cli import app
from mlops_dagster.cli.models.registering import read_card
from mlops_dagster.cli.rollouts.replaying import read_policy
from mlops_dagster.cli.running import settings
from mlops_dagster.database import open_database, reading
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import MlopsError
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.monitoring.validation.expectations.document import check_suite_file
from mlops_dagster.names import check_class_name, check_feature_name, check_model_name
from mlops_dagster.registry import Baseline, ContentStore, LocalBlobs, ModelPolicies, Stage
from mlops_dagster.registry.address import locate, mlflow_address
from mlops_dagster.registry.artifacts import FOLDER, open_store
from mlops_dagster.registry.entities.semantic_version import parse_version
from mlops_dagster.registry.estimators.skops_file import load_skops
from mlops_dagster.settings import Settings
from mlops_dagster.storage.addresses import parse_s3_url

Run = Callable[[Any, Path], object]


@dataclass(frozen=True)
class Target:
    """One way in: what is handed in, and who takes it; the path is a folder of its own."""

    handed_in: st.SearchStrategy[Any]
    run: Run

    def outcome(self, value: object, folder: Path) -> str:
        """`taken`, or the code of our error, which has a message; any other exception is a fault, and is raised."""
        refusal: MlopsError | None = None
        try:
            with contextlib.chdir(folder):  # some make files, at relative paths too
                self.run(value, folder)
        except MlopsError as error:
            refusal = error
        assert refusal is None or refusal.message.strip(), f"{type(refusal).__name__} without a message"
        return "taken" if refusal is None else refusal.code


_odd_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", " ", "\0", "..", "/", "-1", "1e999", "nan", ".inf", "\ud800", "a\nb", "%00", "\u202e", "2013-99-99"]
    ),
)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(10**300, 10**310) | _odd_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_odd_text, inner, max_size=4),
    max_leaves=12,
)
_deep = st.builds(bytes.__mul__, st.sampled_from([b"[", b'{"a":', b"- ", b"{"]), st.sampled_from([1, 50, 1_100]))


def _encoded(value: object) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


_bytes = st.binary(max_size=200) | _deep | _json.map(_encoded)


def _like(**fields: object) -> st.SearchStrategy[bytes]:
    """JSON of an object with these names, whose values may be anything."""
    values = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, _json))
    return values.map(lambda value: _encoded({**fields, **value})) | _bytes


def _manifest(content: bytes, folder: Path) -> None:
    blobs = folder / "store"
    key = FOLDER + hashlib.sha256(content).hexdigest()
    place = blobs / "sha256" / key[7:9] / key[9:11] / key
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    destination = folder / "fetched"
    try:
        ContentStore(LocalBlobs(blobs)).fetch(key, destination)
    finally:
        assert not destination.exists()
        assert {each.name for each in folder.iterdir()} <= {"store"}, "nothing lies outside of the folder"


def _artifact(content: bytes, folder: Path) -> None:
    file = folder / "model.skops"
    file.write_bytes(content)
    ContentStore(LocalBlobs(folder / "store")).put(file)


def _estimator(content: bytes, folder: Path) -> None:
    """A file that begins as a sound one does is kept, and is an estimator or refused."""
    _artifact(content, folder)
    load_skops(folder / "model.skops")


def _archive(packed: int) -> bytes:
    """A skops file whose members are packed in one way."""
    model = DummyClassifier(strategy="constant", constant=1).fit(np.zeros((40, 1)), np.arange(40) % 2)
    whole, found = io.BytesIO(skops.io.dumps(model)), io.BytesIO()
    with zipfile.ZipFile(whole) as members, zipfile.ZipFile(found, "w", packed) as archive:
        for name in members.namelist():
            archive.writestr(name, members.read(name))
    return found.getvalue()


def _damaged(sound: bytes, flips: list[tuple[float, int]], kept: float) -> bytes:
    found = bytearray(sound)
    for place, bit in flips:
        found[int(place * len(found))] ^= 1 << bit
    return bytes(found[: int(kept * len(found)) + 1])


def _file(name: str, read: Callable[[Path], object]) -> Run:
    def run(content: bytes, folder: Path) -> None:
        (folder / name).write_bytes(content)
        read(folder / name)

    return run


def _section(document: object) -> DriftPolicy:
    sections = document if isinstance(document, dict) else {"drift": document}
    return ModelPolicies("flights", sections).section("drift", DriftPolicy)


def _url(url: str, folder: Path) -> None:
    with mock.patch.dict(os.environ, {"PGCONNECT_TIMEOUT": "2"}):
        engine = open_database(url.replace("FOLDER", str(folder)))
        try:
            with reading(engine) as connection:
                connection.execute(text("SELECT 1"))
        finally:
            engine.dispose()


def _address(parse: Callable[[str], object]) -> Target:
    return Target(_urls, lambda url, _folder: parse(url))


def _settings(values: dict[str, str], _folder: Path) -> None:
    with mock.patch.dict(os.environ, {f"MLOPS_{name.upper()}": value for name, value in values.items()}):
        settings()


def _command(arguments: list[str], folder: Path) -> None:
    with mock.patch.dict(os.environ, {"MLOPS_HOME": str(folder / "home")}):
        done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (0, 1, 2), arguments
    assert done.exception is None or isinstance(done.exception, SystemExit | typer.Exit), (arguments, done.exception)
    assert done.output.strip(), arguments


_COMMANDS = """
models rollouts predictions validation artifacts audit tokens alerts drift list show history register promote card
compare status abort pause decisions explain replay tick suite verify orphans erase check roll-back hold release
--json --model --version --reason --since --until --policy --tag --metric --lineage --card --all --rows --help
flights 1.0.0 v1 1.2 latest NaN 2013-03-01 0 -1 99999999999999999999 x=y x=nan =
"""
"""Words of the program; those that start servers are not among them."""
_HOSTS = ("", "127.0.0.1:1", "[::1]:1", "[", "127.0.0.1:x", "127.0.0.1:99999999", "\0")
_PATHS = ("", "/FOLDER/a.sqlite", "/FOLDER", "nowhere/x", "a\0b", ":memory:", "%00", "%", "#?x")
_OPTIONS = ("", "?plugin=x", "?options=-c%20a", "?nothing=1", "?connect_timeout=x", "?sslmode=odd", "?host=/x", "?=")
_urls = _odd_text | st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["sqlite", "postgresql", "postgresql+psycopg", "mysql", "s3", "S3", "mlflow", "http", ""]),
    st.sampled_from(["", "ada@", "ada:pass@", ":@", "a b@"]),
    *map(st.sampled_from, (_HOSTS, _PATHS, _OPTIONS)),
)
_FILES = st.dictionaries(_odd_text, st.sampled_from(["0" * 64, "x", 5, None]))
_HEADS = (b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\x93NUMPY", b"(")
"""Of zip, gzip, bzip2, an array and an old pickle."""
_HISTOGRAM = {"bins": {"kind": "numeric", "edges": [0]}, "counts": [1, 2, 3]}
_OVERALL = {"name": "overall", "rows": 1, "metrics": {"accuracy": 1}}
_EXPECTATION = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}}

_ARCHIVES = [
    _archive(packed) for packed in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
]
_FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=20)

TARGETS: dict[str, Target] = {
    "manifests": Target(_like(files={"a": "0" * 64}) | _FILES.map(lambda files: _encoded({"files": files})), _manifest),
    "artifacts": Target(st.builds(bytes.__add__, st.sampled_from(_HEADS), _bytes), _artifact),
    "damaged estimators": Target(
        st.builds(_damaged, st.sampled_from(_ARCHIVES), _FLIPS, st.just(1.0) | st.floats(0, 1)), _estimator
    ),
    "cards": Target(_like(evaluation=[_OVERALL], failure_modes=["x"], fairness=None), _file("card.json", read_card)),
    "cards in YAML": Target(_like(evaluation=[_OVERALL]) | _odd_text.map(_encoded), _file("card.yaml", read_card)),
    "policies": Target(
        _like(steps=[0.1], max_ratio={"slow": 2}, slow_ms=200, deadline_hours=168), _file("policy.yaml", read_policy)
    ),
    "defs": Target(
        _like(drift={"monitor": 0.1}),
        _file("defs.yaml", lambda file: [_section(document) for document in read_yaml(file)]),
    ),
    "suites": Target(_like(name="x", expectations=[_EXPECTATION]), _file("suite.json", check_suite_file)),
    "tokens": Target(_like(name="x", sha256="0"), _file("tokens.json", lambda file: TokenFile(file).read())),
    "baselines": Target(
        st.fixed_dictionaries(
            {
                "features": st.just({"x": _HISTOGRAM}) | _json,
                "score": st.just(_HISTOGRAM),
                "label": st.just(_HISTOGRAM),
            },
            optional=dict.fromkeys(("design_effects", "evaluated", "evaluated_days"), _json),
        )
        | st.dictionaries(_odd_text, _json),
        lambda value, _folder: Baseline.from_json(value),
    ),
    "database URLs": Target(_urls, _url),
    "S3 URLs": _address(parse_s3_url),
    "registry URLs": _address(lambda url: locate(url, Settings(home=Path("home")))),
    "MLflow URLs": _address(mlflow_address),
    "stores": _address(lambda url: open_store(url, anchors="x")),
    "stages": _address(Stage.parse),
    "versions": _address(parse_version),
    "names of models": _address(check_model_name),
    "names of features": _address(check_feature_name),
    "names of classes": _address(check_class_name),
    "settings": Target(
        st.dictionaries(
            st.sampled_from(sorted(set(Settings.model_fields) - {"home"})),
            _odd_text.map(lambda it: it.replace("\0", "").encode("utf-8", "ignore").decode()),
        ),
        _settings,
    ),
    "commands": Target(st.lists(st.sampled_from(_COMMANDS.split()) | _odd_text, max_size=6), _command),
}
