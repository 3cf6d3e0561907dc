"""One person goes through everything, is erased, and no byte of the home knows of them."""

import io
import json
import re
import struct
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.monitoring import ValidationPolicy
from mlops_dagster.predictions import audit
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.components.test_prediction_batch import EARLIER, SPEC
from tests.support.predictions.records import MARCH
from tests.support.serving.data_plane import ForkedServer, Models, Server, request
from tests.support.serving.light import light_artifacts

MODEL, KEY, DELAY = "flights", "key-of-qzx", 82_641_937.25
THEIRS = [b"qzx", b"82641937", struct.pack("<d", DELAY), struct.pack("<f", DELAY)]
"""Every text of theirs has these letters, which nobody else has."""

KEEPS_ROWS = re.compile(r"spool\.|log/|quarantine/.*\.parquet$|artifacts/profiles/")
"""Files that hold rows: until an erasure they hold theirs."""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLOPS_REPORT_ROWS", "0")  # pages are removed as profiles are, and take 16 s to draw
    stores = Stores(Settings(), ReplayedClock(EARLIER), actor="test")
    Models(stores, light_artifacts(tmp_path)).champion(MODEL)
    return stores


@pytest.fixture
def server(stores: Stores) -> Iterator[Server]:
    server = ForkedServer(stores.settings.home, MLOPS_ACCEPT_EVENT_TIME="true")
    yield server
    server.client.close()  # the server waits for connections that are kept open
    server.stop()


def who_knows(home: Path, *letters: bytes) -> list[str]:
    """Files that have these bytes, in columns of Parquet as well."""
    return sorted(
        str(file.relative_to(home))
        for file in home.rglob("*")
        if file.is_file() and any(each in content for content in _contents(file) for each in letters)
    )


def _contents(file: Path) -> Iterator[bytes]:
    yield (content := file.read_bytes())
    if content.startswith(b"PAR1"):
        yield repr(pq.read_table(io.BytesIO(content)).to_pylist()).encode()


def ask(server: Server, minute: int, *, key: str | None, headers: dict[str, str] | None = None, **body: object) -> int:
    parameters = {"event_time": (MARCH + timedelta(minutes=minute)).isoformat(), "routing_key": key}
    content = {**request(), **body, "parameters": {name: value for name, value in parameters.items() if value}}
    answer = server.client.post(f"/v2/models/{MODEL}/infer", content=json.dumps(content), headers=headers)
    return answer.status_code


def a_person_goes_through_everything(server: Server) -> None:
    """Answered, failed, refused, unread, labelled, mislabelled; by parameter and by header."""
    numbers = request(delay=DELAY, carrier="Zoë qzx")["inputs"]
    for minute in range(30):
        assert ask(server, minute, key="bob", id=f"of-bob-{minute}") == 200
    for minute in range(12):
        ask(server, minute, key=KEY, id=f"order-of-qzx-{minute}", inputs=numbers)
        ask(server, minute, key=None, headers={"x-mlops-routing-key": KEY}, inputs=numbers)
    odd = [{"name": "feature-qzx", "shape": [1], "datatype": "BYTES", "data": ["value-qzx"]}]
    text = [{"name": "delay", "shape": [1], "datatype": "BYTES", "data": ["text-qzx"]}]
    for inputs in (odd, text, [*odd, *text]):
        assert ask(server, 13, key=KEY, id="refused-qzx", inputs=inputs) == 400
    path = f"/v2/models/{MODEL}/infer"
    for unread in (b'{"id": "unread-qzx", ', b'{"inputs": [{"name": "unread-qzx"}]}', b"\0unread-qzx\xff"):
        assert server.client.post(path, content=unread, headers={"x-mlops-routing-key": KEY}).status_code == 400
    for label in ("late", "label-qzx"):
        labels = [{"prediction_id": f"order-of-qzx-{minute}", "label": label} for minute in range(3)]
        server.post(f"/v1/models/{MODEL}/feedback", {"labels": labels})
    server.flush()


def the_hour_is_validated_and_profiled(home: Path) -> None:
    """As Dagster's schedules do, in an instance that is in the home."""
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(hold=True)})
    (home / "dagster").mkdir()
    hour = f"{MARCH:%Y-%m-%d-%H:%M}"
    tags = {"dagster/asset_partition_range_start": hour, "dagster/asset_partition_range_end": hour}
    wanted = {key_of(spec, "prediction_batch"), key_of(spec, "drift_report")}
    assets = [asset for asset in lifecycle_defs(spec).assets or () if asset.key in wanted]
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        dg.materialize(assets, instance=instance, resources={"platform": Platform(home=str(home))}, tags=tags)


def test_no_byte_of_the_home_knows_who_was_erased(stores: Stores, server: Server, tmp_path: Path) -> None:
    home = stores.settings.home
    a_person_goes_through_everything(server)
    the_hour_is_validated_and_profiled(home)

    knows = who_knows(home, *THEIRS)
    assert {name.partition("/")[0] for name in knows} >= {"log", "quarantine", "artifacts"}
    assert [name for name in knows if not KEEPS_ROWS.match(name)] == []
    assert who_knows(home, b"unread-qzx") == []
    assert stores.alerts.list(MODEL)[0].rule == "validation"
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready", "/metrics"):
        assert b"qzx" not in server.client.get(path).content

    (tmp_path / "keys").write_text(f"{KEY}\nnobody-else\n")
    command = ["predictions", "erase", "--model", MODEL, "--keys", str(tmp_path / "keys"), "--json", "--reason"]
    assert CliRunner().invoke(app, [*command, f"letter of {KEY}"]).exit_code == 1, "it is kept for ever"
    erased = CliRunner().invoke(app, [*command, "ticket 12"])
    assert erased.exit_code == 0, erased.output
    assert json.loads(erased.stdout)["predictions"] == 12 + 12 + 3
    assert who_knows(home, *THEIRS) == []
    assert who_knows(home, b"of-bob-7")
    assert audit(stores.spool, stores.log, stores.rollups).complete
