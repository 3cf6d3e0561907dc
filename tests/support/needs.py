"""Marks each test with what it needs, as its fixtures and its file say, and gives files to the workers of xdist."""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

FIXTURES = {
    "postgresql_server": "postgres",
    "s3_server": "s3",
    "mlflow_server": "mlflow",
    "server": "server",
    "start_server": "server",
    "start_process": "process",
    "program": "process",
    "browser": "browser",
}
FAST_SECONDS = 10.0
"""Of CPU, for a test without a mark: the first of a file has its imports, and what it fits for all others."""
PARAMETERS = {"postgresql": "postgres", "s3": "s3", "S3": "s3"}
"""Of fixtures that ask for their server only when it is their turn."""
SOURCES = {
    "dagster": r"^\s*(from|import) (dagster|mlops_dagster\.(components|defs|definitions|rehearsal)|(tests|bench)\.\S*"
    r"(components|rehearsal|tutorial))\b",
    "server": r"\b(Server|ForkedServer|Replicas|dagster_dev|data_plane)\(",
    "slow": r"^(from|import) (evidently|great_expectations|mlserver|schemathesis)\b|^pytestmark = .*\bmark\.slow\b",
    "stores": r"\b(PredictionLog|house_at|RolloutStore)\b|\b(Stores|Rollups|ModelRegistry|Spool)\("
    r"|def \w+\(.*\b(log|spool|rollups|registry|stores|home)\b",
    "process": r"\b(subprocess\.(run|Popen|check_\w+)|TrialProcess|get_context)\(|support\.predictions\.power",
}
"""Of a whole file: what its text says."""
TOGETHER = (
    ("tests/serving/one_server/",),
    ("tests/serving/protocol/",),
    ("tests/inference/",),
    ("tests/board/",),
    (
        "tests/registry/test_mlflow.py",
        "tests/components/test_catalogue.py",
        "tests/serving/test_tracing.py",
        "tests/serving/test_traced_requests.py",
    ),
)
"""Folders and files that share a server, a browser, or estimators of every kind: one worker has all of a group."""
LONGEST = (
    "tests/inference/",
    "tests/tutorial/",
    "tests/end_to_end/",
    "tests/serving/one_server/",
    "tests/serving/protocol/",
    "tests/rehearsal/test_rehearse.py",
    "tests/digits/",
    "tests/flights/",
    "tests/serving/",
    "tests/components/",
    "tests/packaging/",
)
"""Begun first, so that no worker is alone with one at the end."""


@cache
def _needs_of_file(path: Path) -> frozenset[str]:
    text = path.read_text() if path.name.startswith("test_") else ""
    return frozenset(marker for marker, says in SOURCES.items() if re.search(says, text, re.MULTILINE))


def _needs(item: pytest.Item) -> Iterator[str]:
    yield from _needs_of_file(item.path)
    yield from (FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES)
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    yield from (PARAMETERS[value] for value in parameters if isinstance(value, str) and value in PARAMETERS)


def _rank(item: pytest.Item) -> int:
    return next((number for number, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests without a mark; files of others are not imported")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.suffix != ".py" or not collection_path.is_file():
        return None
    if not collection_path.is_relative_to(config.rootpath / "tests"):
        # One without an example would only be imported. Packages come first, else pytest imports their modules twice.
        return True if collection_path.name != "__init__.py" and ">>>" not in collection_path.read_text() else None
    return True if config.option.fast and _needs_of_file(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for marker in set(_needs(item)):
            item.add_marker(marker)
    if config.option.fast:
        needy = {*FIXTURES.values(), *SOURCES}
        chosen = [item for item in items if not needy & {mark.name for mark in item.iter_markers()}]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen
    items.sort(key=_rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Nobody forgets the mark `slow`: CPU seconds do not mind a busy machine."""
    begin = sum(os.times()[:4])
    yield
    used = sum(os.times()[:4]) - begin
    if item.config.option.fast and used > FAST_SECONDS:
        pytest.fail(f"it took {used:.1f} s of CPU: make it cheaper, or mark it slow (CONTRIBUTING.md)", pytrace=False)


class FilesThatShareTogether(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next((group[0] for group in TOGETHER if nodeid.startswith(group)), super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return FilesThatShareTogether(config, log) if config.option.dist == "loadfile" else None
