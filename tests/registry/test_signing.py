"""Signatures, held against model-signing's own verifier, and against everybody who would like to get round them."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from model_signing import signing as theirs
from model_signing import verifying
from sqlalchemy import Engine, text

from mlops_dagster.errors import InvalidInputError, SignatureError
from mlops_dagster.registry import GatePolicy, ModelCard, ModelRegistry, Stage
from mlops_dagster.settings import Settings

Sign = Callable[..., ModelRegistry]

PLAIN = NoEncryption()


def write_key(place: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, encryption=PLAIN) -> tuple[Path, Path]:
    private, public = place.with_suffix(".pem"), place.with_suffix(".pub")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """One kind of database is enough: a signature is one more text to it."""
    return f"sqlite:///{tmp_path}/home/mlops.sqlite"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return write_key(tmp_path / "ours", ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def stranger(tmp_path: Path) -> tuple[Path, Path]:
    return write_key(tmp_path / "strange", ec.generate_private_key(ec.SECP384R1()))


@pytest.fixture
def opened(uri: str, tmp_path: Path, clock) -> Sign:
    """A registry on one and the same database, with these keys."""

    def open_with(signing_key: Path | None = None, trusted_key: Path | None = None) -> ModelRegistry:
        settings = Settings(home=tmp_path / "home", signing_key=signing_key, trusted_key=trusted_key)
        return ModelRegistry(uri, settings=settings, clock=clock, actor="tester")

    return open_with


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "b").mkdir(parents=True)
    for name in ("model.bin", "b/ä ö.bin", "a.bin"):
        (folder / name).write_text(f"bytes of {name}")
    return folder


@pytest.mark.parametrize("name", [".", "model.bin"], ids=["folder", "file"])
def test_model_signing_itself_accepts_what_was_fetched_and_nothing_else(
    opened: Sign, keys: tuple[Path, Path], stranger: tuple[Path, Path], source: Path, tmp_path: Path, name: str
) -> None:
    registry = opened(*keys)
    version = registry.register("flights", source / name)
    bundle = tmp_path / "bundle.sig"
    bundle.write_text(version.signature)
    copy = registry.fetch(version, tmp_path / "copy")

    def command(public: Path) -> "subprocess.CompletedProcess[str]":
        verify = (sys.executable, "-m", "model_signing", "verify", "key", str(copy))
        options = ("--signature", str(bundle), "--public_key", str(public))
        return subprocess.run([*verify, *options], capture_output=True, text=True, check=False)

    verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).verify(copy, bundle)
    assert command(keys[1]).returncode == 0
    assert "Key mismatch" in command(stranger[1]).stderr
    changed = copy / "a.bin" if copy.is_dir() else copy
    changed.write_text("others")
    with pytest.raises(ValueError, match="Hash mismatch"):
        verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).verify(copy, bundle)


@pytest.mark.parametrize("name", [".", "model.bin"], ids=["folder", "file"])
def test_what_is_signed_is_what_model_signing_would_sign(
    opened: Sign, keys: tuple[Path, Path], source: Path, tmp_path: Path, name: str
) -> None:
    version = opened(*keys).register("flights", source / name)
    theirs.Config().use_elliptic_key_signer(private_key=keys[0]).sign(source / name, tmp_path / "their.sig")

    def statement(bundle: str) -> dict[str, object]:
        return json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))

    ours, their = statement(version.signature), statement((tmp_path / "their.sig").read_text())
    assert ours["subject"][0]["name"] == "flights"
    assert ours["subject"][0]["digest"] == their["subject"][0]["digest"]
    assert ours["predicate"]["resources"] == their["predicate"]["resources"]


def test_files_of_git_are_signed_too(opened: Sign, keys: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
    (source / ".gitattributes").write_text("*.bin filter=lfs")
    registry = opened(*keys)
    version = registry.register("flights", source)
    (source / ".gitattributes").write_text("others")
    other = registry.register("flights", source)
    with pytest.raises(SignatureError):
        registry.fetch(replace(other, signature=version.signature), tmp_path / "copy")
    registry.fetch(version, tmp_path / "copy")


def test_nothing_is_handed_out_that_the_trusted_key_did_not_sign(
    opened: Sign, keys: tuple[Path, Path], stranger: tuple[Path, Path], source: Path, tmp_path: Path, database: Engine
) -> None:
    registry = opened(*keys)
    good = registry.register("flights", source, "1.0.0")
    other = registry.register("flights", source / "b", "1.0.1")
    unsigned = opened().register("flights", source / "model.bin", "1.0.2")
    foreign = opened(stranger[0]).register("flights", source / "a.bin", "1.0.3")
    assert unsigned.signature is None

    bundle = json.loads(good.signature)
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    forged = json.loads(good.signature)
    forged["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    unhinted = json.loads(foreign.signature)
    unhinted["verificationMaterial"]["publicKey"]["hint"] = bundle["verificationMaterial"]["publicKey"]["hint"]
    bare = json.loads(good.signature)
    bare["dsseEnvelope"]["signatures"] = []
    bad = {
        "stripped": unsigned,
        "by another key": foreign,
        "by another key, and says otherwise": replace(foreign, signature=json.dumps(unhinted)),
        "of another version": replace(good, signature=other.signature),
        "of a file in it": replace(good, signature=registry.register("flights", source / "a.bin").signature),
        "forged": replace(good, signature=json.dumps(forged)),
        "without signatures": replace(good, signature=json.dumps(bare)),
        **{f"is {junk}": replace(good, signature=junk) for junk in ("", "null", "[]", "{}", "no json")},
    }
    for name, version in bad.items():
        with database.begin() as connection:
            values = {"digest": version.digest, "signature": version.signature}
            connection.execute(text("UPDATE versions SET digest=:digest, signature=:signature WHERE id=1"), values)
        found = registry.get("flights", "1.0.0")
        for hand_out in (lambda row: registry.fetch(row, tmp_path / "copy"), registry.load):
            with pytest.raises(SignatureError, match=r"flights 1\.0\.0") as refused:
                hand_out(found)
            assert refused.value.code == "signature", name
        assert not (tmp_path / "copy").exists(), name
    assert registry.fetch(good, tmp_path / "copy").is_dir()
    assert opened().fetch(unsigned, tmp_path / "not asked").is_file()


def test_production_can_ask_for_a_signature(
    opened: Sign, keys: tuple[Path, Path], stranger: tuple[Path, Path], source: Path, card: ModelCard
) -> None:
    registry = opened(*keys)
    signed = registry.register("flights", source, "1.0.0-rc.1", card=card)
    unsigned = opened().register("flights", source / "a.bin", "0.9.0", card=card)
    registry.publish_policies("flights", {"gates": GatePolicy(signature=True)})
    for refusing, version, reason in (
        (registry, unsigned, "0.9.0 is not signed"),
        (opened(trusted_key=stranger[1]), signed, "not one over its bytes by the key"),
        (opened(), signed, "without a key to trust; set MLOPS_TRUSTED_KEY"),
    ):
        with pytest.raises(SignatureError, match=reason):
            refusing.transition(version, Stage.PRODUCTION)
        assert [error.code for error in refusing.closed_gates(version)] == ["signature"]
    assert registry.champion("flights") is None

    final = registry.transition(signed, Stage.PRODUCTION)
    assert (final.version, final.signature) == ("1.0.0", signed.signature)
    registry.fetch(final, source / "copy")
    registry.audit()


def test_the_gate_asks_only_where_the_policy_does(
    opened: Sign, keys: tuple[Path, Path], source: Path, card: ModelCard
) -> None:
    unsigned = opened().register("flights", source, card=card)
    assert opened(*keys).closed_gates(unsigned) == ()
    assert opened(*keys).transition(unsigned, Stage.PRODUCTION).signature is None


def test_a_key_that_cannot_be_used_is_named_and_leaves_no_version(
    opened: Sign, keys: tuple[Path, Path], source: Path, tmp_path: Path
) -> None:
    ellipse = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "no.pem").write_text("no key")
    unusable = [
        (tmp_path / "absent.pem",) * 2,
        (tmp_path,) * 2,
        (tmp_path / "no.pem",) * 2,
        keys[::-1],
        write_key(tmp_path / "rsa", rsa.generate_private_key(65537, 2048)),
        write_key(tmp_path / "bitcoin", ec.generate_private_key(ec.SECP256K1())),
    ]
    locked, _ = write_key(tmp_path / "locked", ellipse, BestAvailableEncryption(b"secret"))
    for private in (locked, *(private for private, _ in unusable)):
        with pytest.raises(InvalidInputError, match="MLOPS_SIGNING_KEY is .*unencrypted private key"):
            opened(private).register("flights", source)
    assert opened().models() == []
    assert opened().audit().events == 0

    signed = opened(*keys).register("flights", source)
    for _, public in unusable:
        with pytest.raises(InvalidInputError, match="MLOPS_TRUSTED_KEY is .*unencrypted public key"):
            opened(trusted_key=public).fetch(signed, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_same_bytes_stay_the_version_they_are(opened: Sign, keys: tuple[Path, Path], source: Path) -> None:
    unsigned = opened().register("flights", source, "1.0.0")
    assert opened(*keys).register("flights", source, "1.0.0") == unsigned
    opened().audit()


WITHOUT_KEYS = """
import sys
from mlops_dagster.registry import ModelRegistry
registry = ModelRegistry(sys.argv[1])
registry.fetch(registry.register("flights", sys.argv[2]), sys.argv[3])
sys.exit("model_signing" in sys.modules)
"""


def test_who_has_no_key_does_not_pay_for_it(uri: str, source: Path, tmp_path: Path, start_process) -> None:
    process = start_process(WITHOUT_KEYS, uri, str(source), str(tmp_path / "copy"))
    assert (process.communicate()[1], process.returncode) == ("", 0)
