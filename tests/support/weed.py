"""SeaweedFS as a server of S3."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

OWNER = ("owner", "owner-secret")
READER = ("reader", "reader-secret")
"""Key and secret of who may do everything, and of who may only read."""

_session = boto3.session.Session()  # shared: it reads the model of S3 once
_ROLES = ("master", "volume", "filer", "s3")


@contextmanager
def weed() -> Iterator[str]:
    """The address (http://) of a server with nothing in it, on ports and in a folder of its own; up in about 3 s."""
    with tempfile.TemporaryDirectory(prefix="weed-") as folder:
        ports = _free_ports(2 * len(_ROLES))
        (Path(folder) / "s3.json").write_text(json.dumps({"identities": [_OWNER, _READER]}))
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("weed"), "-logtostderr=true", "server", *_options(folder, ports)],
                stdout=log,
                stderr=log,
                # One volume for each new bucket rather than seven: its first object is stored 0.8 s sooner.
                env=os.environ | {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
            )
        try:
            address = f"http://127.0.0.1:{ports[-2]}"
            _wait(address, process, Path(folder, "log"))
            yield address
        finally:
            # Its own way out takes ten seconds, and nothing of it is kept.
            process.kill()
            process.wait()
            for role, port in zip(_ROLES, ports[1::2], strict=True):
                Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - weed's choice


def client(address: str, identity: tuple[str, str] = OWNER, **limits: float) -> "S3Client":
    """A client that tries once, and waits for 10 s if it is not told otherwise."""
    config = Config(retries={"total_max_attempts": 1}, **({"connect_timeout": 2, "read_timeout": 10} | limits))
    return _session.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=identity[0],
        aws_secret_access_key=identity[1],
        region_name="us-east-1",
        config=config,
    )


def environment(address: str) -> dict[str, str]:
    """What an operator would set for boto3."""
    return {
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": OWNER[0],
        "AWS_SECRET_ACCESS_KEY": OWNER[1],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _options(folder: str, ports: list[int]) -> list[str]:
    options = {
        "s3": "true",
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.peers": "none",  # a single master need not wait for votes
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "64",
        "volume.max": "0",
        "filer.maxMB": "16",  # a part is one chunk: two at once would wait for each other in an empty bucket
        "filer.localSocket": f"{folder}/filer.sock",
        "s3.localSocket": f"{folder}/s3.sock",
        "s3.config": f"{folder}/s3.json",
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
    }
    for index, role in enumerate(_ROLES):
        options |= {f"{role}.port": str(ports[2 * index]), f"{role}.port.grpc": str(ports[2 * index + 1])}
    return [f"-{name}={value}" for name, value in options.items()]


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    owner = client(address, connect_timeout=1)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if not any(bucket["Name"] == "first" for bucket in owner.list_buckets()["Buckets"]):
                owner.create_bucket(Bucket="first")
            owner.put_object(Bucket="first", Key="first", Body=b"first")  # there is a volume to write to
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.05)
    raise RuntimeError(f"weed did not start: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _identity(key: tuple[str, str], actions: list[str]) -> dict[str, object]:
    return {"name": key[0], "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}


_OWNER = _identity(OWNER, ["Admin", "Read", "Write", "List", "Tagging"])
_READER = _identity(READER, ["Read", "List"])
