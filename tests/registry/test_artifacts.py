"""One suite for every place for bytes."""

import bz2
import gzip
import hashlib
import itertools
import json
import lzma
import os
import pickle
import threading
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    CorruptedArtifactError,
    InvalidInputError,
    StorageError,
    UnsafeArtifactError,
)
from mlops_dagster.registry import ContentStore, LocalBlobs
from mlops_dagster.registry.artifacts import open_store
from mlops_dagster.registry.artifacts.content import FOLDER
from tests.support import weed


class LocalPlace:
    """A store in a folder, and what others may do to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs, self.anchors = open_store(str(path), anchors="mlops")

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.path.rglob("*") if path.is_file()}

    def write(self, key: str, data: bytes) -> None:
        file = Path(self.address(key))
        file.chmod(0o644)
        file.write_bytes(data)

    def lose(self, key: str) -> None:
        Path(self.address(key)).unlink()

    def address(self, key: str) -> str:
        plain = key.removeprefix(FOLDER)
        return str(self.path / "sha256" / plain[:2] / plain[2:4] / key)


class S3Place:
    """The same in a bucket."""

    def __init__(self, server: str, bucket: str, prefix: str) -> None:
        self.client = weed.client(server)
        self.bucket, self.prefix = bucket, prefix
        self.blobs, self.anchors = open_store(f"s3://{bucket}/{prefix}", anchors="mlops", s3=self.client)

    def contents(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/").get("Contents", ())
        bodies = {each["Key"]: self.client.get_object(Bucket=self.bucket, Key=each["Key"])["Body"] for each in listed}
        return {name.rpartition("/")[2]: body.read() for name, body in bodies.items()}

    def write(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def lose(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def address(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def _key(self, key: str) -> str:
        plain = key.removeprefix(FOLDER)
        return f"{self.prefix}/sha256/{plain[:2]}/{plain[2:4]}/{key}"


Place = LocalPlace | S3Place


@pytest.fixture(params=["folder", "s3"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Makes empty stores of one kind: whatever is tested here holds for both."""
    numbers = itertools.count()
    if request.param == "folder":
        return lambda: LocalPlace(tmp_path / f"store-{next(numbers)}")
    server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3")
    return lambda: S3Place(server, bucket, f"store-{next(numbers)}")


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    return new_place()


@pytest.fixture
def store(place: Place) -> ContentStore:
    return ContentStore(place.blobs)


def test_a_file_is_kept_once_under_its_sha256(place: Place, store: ContentStore, tmp_path: Path) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(b"abc")
    digest = store.put(tmp_path / "a.bin")
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    (before,) = place.blobs.list()
    assert store.put(tmp_path / "b.bin") == digest
    assert list(place.blobs.list()) == [before]
    assert place.contents() == {digest: b"abc"}
    copy = store.fetch(digest, tmp_path / "out" / "copy")
    assert copy.read_bytes() == b"abc"
    assert list((tmp_path / "out").iterdir()) == [copy]


def test_a_folder_keeps_a_file_read_only_and_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    local = LocalPlace(tmp_path / "store")
    place = Path(local.address(local.blobs.add(tmp_path / "a")))
    before = place.stat()
    assert before.st_mode & 0o777 == 0o400
    local.blobs.add(tmp_path / "a")
    assert place.stat().st_ino == before.st_ino


def test_what_is_stored_is_listed_until_it_is_removed(place: Place, tmp_path: Path) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=1)  # S3 tells whole seconds
    assert list(place.blobs.list()) == []
    keys = set()
    for prefix, content in (("", b""), ("", b"weights"), ("folder-", b"weights"), ("signature-", b"...")):
        (tmp_path / "a").write_bytes(content)
        key = place.blobs.add(tmp_path / "a", prefix)
        assert key == prefix + hashlib.sha256(content).hexdigest()
        keys.add((key, len(content)))
    place.anchors.note(1, "ab")
    assert {(blob.key, blob.size) for blob in place.blobs.list()} == keys
    for blob in place.blobs.list():
        assert begin <= blob.stored_at <= datetime.now(UTC)
        assert place.blobs.has(blob.key)
        for _ in range(2):
            place.blobs.remove(blob.key)
        assert not place.blobs.has(blob.key)
        with pytest.raises(ArtifactNotFoundError):
            place.blobs.copy(blob.key, tmp_path / blob.key)
    assert list(place.blobs.list()) == []
    assert place.anchors.read() == {1: {"ab"}}


def test_anchors_are_read_as_they_were_noted(place: Place) -> None:
    assert place.anchors.read() == {}
    for event, head in ((1, "ab"), (2, "cd"), (2, "cd"), (2, "ef"), (1_000_000, "01")):
        place.anchors.note(event, head)
    assert place.anchors.read() == {1: {"ab"}, 2: {"cd", "ef"}, 1_000_000: {"01"}}


def test_many_may_add_the_same_bytes_at_once(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(1 << 20))
    start = threading.Barrier(4)

    def add(_: int) -> str:
        start.wait()
        return place.blobs.add(tmp_path / "a")

    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(add, range(4)))
    assert place.contents() == {key: (tmp_path / "a").read_bytes() for key in keys}
    assert len(keys) == 1


names = st.text("abcä.-_ ", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=50), min_size=1, max_size=5
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees)
def test_a_folder_comes_back_as_it_went_in(
    new_place: Callable[[], Place], tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]
) -> None:
    home = tmp_path_factory.mktemp("tree")
    for name, content in tree.items():
        file = home / "in" / name
        if any(parent.is_file() for parent in file.parents) or file.is_dir():
            continue  # one name cannot be file and folder
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    store = ContentStore(new_place().blobs, allow_unsafe=True)
    digest = store.put(home / "in")
    assert digest.startswith("folder-")
    store.fetch(digest, home / "out")
    assert files(home / "out") == files(home / "in")
    assert store.put(home / "out") == digest


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_with_the_bytes_of_a_manifest_stays_a_file(place: Place, store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("a")
    folder = store.put(tmp_path / "in")
    (tmp_path / "manifest").write_bytes(place.contents()[folder])
    file = store.put(tmp_path / "manifest")
    assert folder == f"folder-{file}"
    assert store.fetch(file, tmp_path / "file").read_bytes() == (tmp_path / "manifest").read_bytes()
    assert store.fetch(folder, tmp_path / "folder").is_dir()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"X" + data[1:], lambda _: b""]
)
@pytest.mark.parametrize("kind", ["file", "file in a folder", "manifest"])
def test_damage_is_found_on_fetch_and_nothing_is_left_there(
    place: Place, store: ContentStore, tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "a"
    source.write_bytes(b"weights")
    digest = store.put(source if kind == "file" else tmp_path / "in")
    damaged = digest if kind == "manifest" else hashlib.sha256(b"weights").hexdigest()
    place.write(damaged, damage(place.contents()[damaged]))
    before = place.contents()
    with pytest.raises(CorruptedArtifactError, match="other bytes") as error:
        store.fetch(digest, tmp_path / "out" / "copy")
    assert place.address(damaged) in error.value.message
    assert list((tmp_path / "out").iterdir()) == []
    # The damaged bytes are neither replaced behind anyone's back nor taken for the ones that are put again.
    with pytest.raises(CorruptedArtifactError):
        store.put(source if kind == "file" else tmp_path / "in")
    assert place.contents() == before


def test_a_lost_file_is_found_on_fetch(place: Place, store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    digest = store.put(tmp_path / "a")
    assert store.has(digest)
    place.lose(digest)
    assert not store.has(digest)
    with pytest.raises(ArtifactNotFoundError, match=digest):
        store.fetch(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# What is refused is refused before any store is asked.
in_a_folder = pytest.mark.parametrize("new_place", ["folder"], indirect=True)

PICKLE = pickle.dumps({"weights": list(range(100))})


class _Call:
    """An object that calls `os.getcwd` when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return os.getcwd, ()


CALL = _Call()


@in_a_folder
@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"model{protocol}.bin", pickle.dumps([1.0], protocol)) for protocol in range(2, 6)),
        ("model.pkl", pickle.dumps([1.0], 0)),
        *((f"old{protocol}.bin", pickle.dumps([os.getcwd, 1.0], protocol)) for protocol in (0, 1)),
        *((f"cut{protocol}.bin", pickle.dumps(CALL, protocol)[:-1] + b"\xff") for protocol in (0, 1)),
        ("MODEL.PKL.gz", b"anything"),
        ("model.joblib", b"anything"),
        ("renamed.onnx", PICKLE),
        ("zlib.bin", zlib.compress(PICKLE)),
        ("gzip.bin", gzip.compress(PICKLE)),
        ("bz2.bin", bz2.compress(pickle.dumps(os.urandom(50_000)))),
        ("xz.bin", lzma.compress(PICKLE)),
        ("lzma.bin", lzma.compress(PICKLE, lzma.FORMAT_ALONE)),
    ],
)
def test_pickles_are_refused_by_name_and_by_content(
    place: Place, store: ContentStore, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / "in" / name
    file.parent.mkdir()
    file.write_bytes(content)
    for artifact in (file, file.parent):
        with pytest.raises(UnsafeArtifactError, match="pickle"):
            store.put(artifact)
    assert place.contents() == {}
    allowing = ContentStore(place.blobs, allow_unsafe=True)
    assert allowing.fetch(allowing.put(file), tmp_path / "copy").read_bytes() == content


@in_a_folder
@pytest.mark.parametrize(
    "text", ["accessible-pygments==0.0.5\nalabaster==1.0.0\ncertifi==2026.1\ncharset==3\ndill==1\n."]
)
def test_a_list_of_packages_is_no_pickle(store: ContentStore, tmp_path: Path, text: str) -> None:
    """Read letter by letter it is one of protocol 0: append, import, ..., stop."""
    (tmp_path / "environment.txt").write_text(text)
    assert store.fetch(store.put(tmp_path / "environment.txt"), tmp_path / "copy").read_text() == text


@in_a_folder
@pytest.mark.parametrize("name", ["x.pt.onnx", "model.pkl.dvc", "model.joblib.md", "pkl"])
def test_what_only_has_a_pickle_in_its_name_is_taken(store: ContentStore, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    assert store.fetch(store.put(tmp_path / name), tmp_path / "copy").read_bytes() == b"anything"


@in_a_folder
def test_archives_of_pickles_are_refused(store: ContentStore, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "torch.bin", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(UnsafeArtifactError, match=r"archive/data\.pkl"):
        store.put(tmp_path / "torch.bin")


def test_arrays_of_objects_are_refused_and_arrays_of_numbers_are_not(store: ContentStore, tmp_path: Path) -> None:
    numbers, objects = np.zeros(3), np.array([{}], dtype=object)
    np.save(tmp_path / "numbers.npy", numbers)
    np.savez(tmp_path / "numbers.npz", numbers)
    for name in ("numbers.npy", "numbers.npz"):
        store.put(tmp_path / name)
    for name, save in (("objects.npy", np.save), ("objects.npz", np.savez), ("packed.npz", np.savez_compressed)):
        save(tmp_path / name, objects)
        with pytest.raises(UnsafeArtifactError, match="pickle"):
            store.put(tmp_path / name)
    record = np.zeros(1, dtype=[("a", "f8"), ("b", "O")])
    np.save(tmp_path / "record.npy", record)
    with pytest.raises(UnsafeArtifactError, match="array of objects"):
        store.put(tmp_path / "record.npy")


def test_a_refusal_tells_the_way_out(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(PICKLE)
    with pytest.raises(UnsafeArtifactError) as refused:
        store.put(tmp_path / "model.pkl")
    for advice in ("skops.io.dump", "skl2onnx", "MLOPS_ALLOW_UNSAFE_ARTIFACTS=true"):
        assert advice in refused.value.message


@pytest.mark.parametrize("text", ["", "N.", "carrier\nAA\nUA\n", "cats==1.0\nc==2\n", "(lp0\n", "{}"])
def test_texts_are_no_pickles(store: ContentStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "notes.txt").write_text(text)
    store.put(tmp_path / "notes.txt")


@in_a_folder
def test_joblib_dumps_are_refused(store: ContentStore, tmp_path: Path) -> None:
    import joblib

    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)):
        joblib.dump({"weights": list(range(1000))}, tmp_path / "dump.bin", compress=compress)
        with pytest.raises(UnsafeArtifactError, match="content of a pickle"):
            store.put(tmp_path / "dump.bin")


@in_a_folder
def test_what_is_no_plain_file_is_refused(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match="no artifact at"):
        store.put(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="no file in it"):
        store.put(tmp_path / "empty")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInputError, match="neither a file nor a folder"):
        store.put(tmp_path / "fifo")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInputError, match="is a link"):
        store.put(tmp_path / "links")
    for digest in ("../../etc/passwd", "", "ab", "A" * 64):
        with pytest.raises(InvalidInputError, match="not a digest"):
            store.fetch(digest, tmp_path / "copy")


def test_a_fetch_does_not_disturb_a_folder(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("precious")
    for artifact in (tmp_path / "a", tmp_path / "mine"):
        with pytest.raises(InvalidInputError, match="is a folder already"):
            store.fetch(store.put(artifact), tmp_path / "mine")
    assert files(tmp_path / "mine") == {"work": b"precious"}


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot read or write"):
        ContentStore(LocalBlobs(tmp_path / "file" / "store")).put(tmp_path / "file")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ".."])
def test_a_manifest_that_leaves_its_folder_is_refused(
    place: LocalPlace | S3Place, store: ContentStore, tmp_path: Path, name: str
) -> None:
    """Its SHA-256 is right: whoever can write to the store can write such a one."""
    (tmp_path / "evil").write_text("evil")
    digest = store.put(tmp_path / "evil")
    (tmp_path / "manifest").write_text(json.dumps({"files": {name: digest}}))
    folder = place.blobs.add(tmp_path / "manifest", FOLDER)
    (tmp_path / "evil").unlink()
    with pytest.raises(CorruptedArtifactError, match="lies outside of its folder; nothing was copied"):
        store.fetch(folder, tmp_path / "out" / "copy")
    assert not (tmp_path / "evil").exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_written_while_it_is_copied_is_refused(
    place: LocalPlace | S3Place, store: ContentStore, tmp_path: Path
) -> None:
    artifact = tmp_path / "model.bin"
    artifact.write_bytes(bytes(40_000_000))
    enough = threading.Event()

    def train_on() -> None:
        with artifact.open("r+b") as file:
            while not enough.is_set():
                file.seek(-1, os.SEEK_END)
                file.write(b"x")
                file.flush()
                file.write(b"y")

    writer = threading.Thread(target=train_on)
    writer.start()
    with pytest.raises(ArtifactChangedError, match="changed while it was copied"):
        store.put(artifact)
    enough.set()
    writer.join()
    assert place.contents() == {}
