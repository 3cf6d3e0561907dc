"""S3 that hangs, fails, or answers nothing: the shipper says so within a bounded time, and nothing is lost."""

import time
from collections.abc import Callable, Iterator

import pytest

from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.log import location as place
from tests.support.proxy import Proxy


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    host, _, port = s3_server.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        yield proxy


@pytest.fixture
def log(proxy: Proxy, s3: str, monkeypatch: pytest.MonkeyPatch) -> PredictionLog:
    """Behind the proxy; a request waits for 1 s and is tried once."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    for name, limit in (("CONNECT_SECONDS", 1), ("TIMEOUT_SECONDS", 1), ("RETRY_SECONDS", 1), ("RETRIES", 0)):
        monkeypatch.setattr(place, name, limit)
    return PredictionLog(f"s3://{s3}/log")


FAULTS: dict[str, Callable[[Proxy], None]] = {"hang": Proxy.hang, "cut": Proxy.cut, "500": lambda p: p.answer(500)}


def test_an_outage_is_an_error_in_time_and_the_next_ship_goes_on(spool, log, record, march, proxy):
    shipped = 0
    for fault in FAULTS.values():
        for there in (False, True):  # before the first table, and with one
            spool.append([record(shipped, model=f"model-{shipped % 2}")])
            fault(proxy)
            start = time.monotonic()
            with pytest.raises(StorageError, match="nothing is lost") as outage:
                log.ship(spool)
            assert time.monotonic() - start < 5
            assert "\n" not in outage.value.message
            with pytest.raises(StorageError):
                log.models()
            with pytest.raises(StorageError):
                log.read("model-0", march, march)
            assert len(spool.read(spool.marks.get("shipped"))) == 1
            proxy.heal()
            assert log.ship(spool) == 1
            shipped += 1
            assert log.count("model-0") + log.count("model-1") == shipped, there


def test_answers_that_are_lost_append_nothing_twice(spool, log, record, proxy):
    """The server does its part and its answer is cut off, after ever more bytes: so at ever later requests."""
    raised = 0
    for number, after in enumerate(range(0, 72_000, 9_000)):
        spool.append([record(number), record(number, role="paired")])
        proxy.cut(after)
        try:
            log.ship(spool)
        except StorageError:
            raised += 1
        proxy.heal()
        log.ship(spool)
        assert (log.count("flights"), log.count("flights", ["paired"])) == (number + 1, number + 1)
    assert 0 < raised < 8


def test_what_is_no_place_for_a_log_is_refused():
    for address in ("gs://bucket/log", "s3://", "s3:///log"):
        with pytest.raises(InvalidInputError, match="use s3://bucket/prefix or a folder"):
            PredictionLog(address)


def test_no_credentials_is_said(s3, monkeypatch, spool, record):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    spool.append([record(0)])
    with pytest.raises(StorageError, match=f"boto3 finds no credentials for s3://{s3}"):
        PredictionLog(f"s3://{s3}").ship(spool)


def test_a_bucket_that_is_not_there_is_said(s3, spool, record):
    spool.append([record(0)])
    with pytest.raises(StorageError, match="s3://nowhere-at-all/log"):
        PredictionLog("s3://nowhere-at-all/log").ship(spool)
