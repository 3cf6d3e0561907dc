"""Signatures over artifacts: OpenSSF model-signing bundles, by an elliptic-curve key, offline.

A bundle covers every file of the artifact by the SHA-256 that the content store has, so nothing is hashed again and a
large artifact costs no more than a small one. A single file is called "." in it, whatever its name, as in
model-signing itself. It does not name model or version: a release has the signature of its pre-release.

Anybody can verify it without this project, with the copy that `fetch` made and the signature in a file:
`model_signing verify key PATH --signature FILE --public_key KEY`, with `--no-ignore-git-paths` for a folder that
holds .gitattributes and the like: model-signing leaves those out by default, but here every file is signed.
Source: https://github.com/sigstore/model-transparency
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError, SignatureError
from mlops_dagster.extras import require
from mlops_dagster.registry.artifacts import FOLDER, ContentStore
from mlops_dagster.registry.entities.entities import ModelVersion

if TYPE_CHECKING:
    from model_signing.hashing import Config


def sign(content: ContentStore, digest: str, name: str, key: Path) -> str:
    """Return a bundle (JSON) over the content `digest`, made with the private key (PEM, not encrypted).

    `name` is only informative. Raises InvalidInputError for a key that does not exist or is of another kind,
    MissingExtraError, and all that `content` raises.
    """
    require("signing", "a signature")
    from model_signing.signing import Config

    with _key_errors("MLOPS_SIGNING_KEY", "private key", key):
        signer = Config().use_elliptic_key_signer(private_key=key)  # type: ignore[no-untyped-call]  # theirs says no types
    signer.set_hashing_config(_stored(content, digest, name))
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        signer.sign(folder, bundle)
        return bundle.read_text(encoding="utf-8")


def verify(content: ContentStore, version: ModelVersion, key: Path | None) -> None:
    """Raise SignatureError unless the version's bytes are signed by the owner of the public key (PEM).

    Raises InvalidInputError for a key that does not exist or is of another kind, MissingExtraError, and all that
    `content` raises.
    """
    name = f"{version.model} {version.version}"
    if key is None:
        raise SignatureError(
            f"whether {name} is signed cannot be told without a key to trust; set MLOPS_TRUSTED_KEY to a public key"
        )
    if version.signature is None:
        raise SignatureError(f"{name} is not signed; register its bytes anew where MLOPS_SIGNING_KEY is set")
    require("signing", "a signature")
    from model_signing.verifying import Config

    with _key_errors("MLOPS_TRUSTED_KEY", "public key", key):
        verifier = Config().use_elliptic_key_verifier(public_key=key)  # type: ignore[no-untyped-call]  # as above
    verifier.set_hashing_config(_stored(content, version.digest, version.model))
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        bundle.write_text(version.signature, encoding="utf-8")
        try:
            verifier.verify(folder, bundle)
        except Exception as error:  # a bundle may come from a stranger, and fail in any way
            raise SignatureError(
                f"the signature of {name} is not one over its bytes by the key {str(key)!r} "
                f"({type(error).__name__}: {error}); do not use it before you know its origin"
            ) from error


def _stored(content: ContentStore, digest: str, name: str) -> "Config":
    """Return a hashing config that takes the digests of the content store instead of hashing a path."""
    from model_signing._hashing.hashing import Digest  # the digest in a Manifest has no public name
    from model_signing.hashing import Config, PathLike
    from model_signing.manifest import Manifest, SerializationType

    kind = SerializationType.from_args({"method": "files", "hash_type": "sha256", "allow_symlinks": False})
    files = content.files(digest) if digest.startswith(FOLDER) else {".": digest}
    items = [kind.new_item(file, Digest("sha256", bytes.fromhex(sha256))) for file, sha256 in files.items()]
    manifest = Manifest(name, items, kind)

    class Stored(Config):
        def hash(self, model_path: PathLike, *, files_to_hash: object = None) -> Manifest:  # noqa: ARG002
            return manifest

    return Stored()  # type: ignore[no-untyped-call]  # as above


@contextmanager
def _key_errors(setting: str, kind: str, key: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, AttributeError) as error:  # AttributeError for RSA and other kinds of keys
        raise InvalidInputError(
            f"{setting} is {str(key)!r}, which cannot be used ({error}); name a readable PEM file with an "
            f"unencrypted {kind} of the curve P-256, P-384 or P-521"
        ) from error
