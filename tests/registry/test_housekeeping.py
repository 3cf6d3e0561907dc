"""Orphans go; what a version names stays, whatever happens meanwhile."""

import random
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import ArtifactChangedError, CorruptedArtifactError
from mlops_dagster.registry import ContentStore, LocalBlobs, ModelRegistry

NOW = timedelta(0)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    """The same store, for whoever crashes between the copy and the row."""
    return ContentStore(LocalBlobs(tmp_path / "home" / "artifacts"))


def put(store: ContentStore, folder: Path, **files: str) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return store.put(folder)


def test_only_what_no_version_names_is_removed(
    registry: ModelRegistry, store: ContentStore, tmp_path: Path, add
) -> None:
    kept = [add("1.0.0"), registry.transition(add("1.1.0"), "Deprecated")]
    folder = tmp_path / "model"
    put(store, folder, weights="w", vocabulary="v")
    kept.append(registry.register("flights", folder, "2.0.0", lineage=registry.code_lineage()))
    lost = put(store, tmp_path / "lost", weights="w", other="only here")

    assert registry.orphans() == []  # all of it is of today
    # Its files are named by its manifest as long as that is there.
    assert [blob.key for blob in registry.orphans(older_than=NOW)] == [lost]
    assert [blob.key for blob in registry.remove_orphans(registry.orphans(older_than=NOW))] == [lost]
    (rest,) = registry.remove_orphans(registry.orphans(older_than=NOW))
    assert rest.size == len("only here")
    assert registry.orphans(older_than=NOW) == []
    for number, version in enumerate(kept):
        registry.fetch(version, tmp_path / f"copy {number}")
    assert "sqlalchemy==" in registry.environment(kept[-1])
    registry.audit()


def test_an_orphan_that_was_registered_meanwhile_stays(
    registry: ModelRegistry, store: ContentStore, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    digest = store.put(tmp_path / "model.onnx")
    orphans = registry.orphans(older_than=NOW)
    version = registry.register("flights", tmp_path / "model.onnx")
    assert [blob.key for blob in orphans] == [digest] == [version.digest]
    assert registry.remove_orphans(orphans) == []
    registry.fetch(version, tmp_path / "copy")


def test_orphans_that_are_removed_meanwhile_are_put_again(
    registry: ModelRegistry, uri: str, store: ContentStore, tmp_path: Path
) -> None:
    """Long-lived sessions learn of a removal by another process when they register next."""
    (tmp_path / "lost").write_text("lost")
    store.put(tmp_path / "lost")
    cleaner = ModelRegistry(uri)
    assert len(cleaner.remove_orphans(cleaner.orphans(older_than=NOW))) == 1
    version = registry.register("flights", tmp_path / "lost")
    assert registry.fetch(version, tmp_path / "copy").read_text() == "lost"


def test_a_manifest_that_cannot_be_read_stops_the_cleaning(
    registry: ModelRegistry, store: ContentStore, tmp_path: Path
) -> None:
    digest = put(store, tmp_path / "lost", weights="w")
    (place,) = (tmp_path / "home").rglob(digest)
    place.chmod(0o644)
    place.write_text("damaged")
    with pytest.raises(CorruptedArtifactError):
        registry.orphans(older_than=NOW)


def test_registering_beside_a_cleaner_never_leaves_a_version_without_bytes(
    registry: ModelRegistry, uri: str, tmp_path: Path
) -> None:
    """The cleaner gives no grace; it takes half of what it finds, or nobody else would ever be done."""
    enough, chance = threading.Event(), random.Random(0)  # noqa: S311  # no secret

    def clean() -> None:
        cleaner = ModelRegistry(uri)
        while not enough.is_set():
            found = cleaner.orphans(older_than=NOW)
            cleaner.remove_orphans([blob for blob in found if chance.random() < 0.5])

    worker = threading.Thread(target=clean)
    worker.start()
    artifact = tmp_path / "model.onnx"
    for number in range(40):
        artifact.write_text(f"weights {number}")
        with suppress(ArtifactChangedError):  # a cleaner this eager may win three times
            registry.register("flights", artifact)
    enough.set()
    worker.join()
    versions = registry.list("flights")
    assert versions
    for version in versions:
        registry.fetch(version, tmp_path / f"copy {version.version}")
