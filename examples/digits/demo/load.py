"""Sends the stream to the data plane at its rate, beside everything else, and the labels when they are known."""

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from demo.stream import RATE, Sheet, Stream
from mlops_dagster.clock import SystemClock
from mlops_dagster.errors import ServerError
from mlops_dagster.rehearsal.server import Address
from mlops_dagster.rehearsal.traffic.client import Client
from mlops_dagster.rehearsal.traffic.labels import DueLabel, Labels

BEAT_SECONDS = 0.1
CONNECTIONS = 16


class Load:
    """Runs in a thread of its own inside the `with` block; after it every label is delivered and all is in the log."""

    def __init__(self, model: str, address: Address, stream: Stream) -> None:
        self._model, self._address, self._stream = model, address, stream
        self._ending = threading.Event()
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._labels = Labels()
        self.requests = 0
        self.labelled = 0
        self.failed = 0
        self.answered_by: Counter[str] = Counter()
        self.last_answer_of: dict[str, datetime] = {}
        self.last_failure_at: datetime | None = None
        self.first_blank_at: datetime | None = None

    def __enter__(self) -> Self:
        self._running: Future[None] = self._executor.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if error is not None:
            self._labels = Labels()  # nobody waits for them any more
        self._executor.shutdown()
        if error is None:
            self.check()

    def blank_share(self, share: float) -> None:
        """From now on, of this share of the sheets a corner is blank."""
        self._stream.blank_share = share

    def check(self) -> None:
        """Raises what has ended the load, if anything has: ServerError."""
        if self._running.done():
            self._running.result()

    def _run(self) -> None:
        with Client(*self._address, connections=CONNECTIONS) as client:
            begin = time.monotonic()
            while not self._ending.wait(BEAT_SECONDS):
                due = int((time.monotonic() - begin) * RATE) - self.requests
                self._send(client, self._stream.take(due))
                self._deliver(client)
            while self._labels:
                time.sleep(BEAT_SECONDS)
                self._deliver(client)
            client.post("/v1/flush", {"log": True})

    def _send(self, client: Client, sheets: list[Sheet]) -> None:
        if self.first_blank_at is None and any(sheet.blank for sheet in sheets):
            self.first_blank_at = SystemClock().now()
        answers = client.post_all(f"/v2/models/{self._model}/infer", [sheet.body for sheet in sheets])
        self.requests += len(answers)
        now = SystemClock().now()
        for sheet, answer in zip(sheets, answers, strict=True):
            if answer.status == 500:
                self.failed += 1
                self.last_failure_at = now
                continue
            content = answer.json()
            self.answered_by[content["model_version"]] += 1
            self.last_answer_of[content["model_version"]] = now
            self._labels.add(DueLabel(now + timedelta(seconds=sheet.label_after), content["id"], sheet.digit))

    def _deliver(self, client: Client) -> None:
        due = list(self._labels.due(SystemClock().now()))
        if not due:
            return
        labels = [{"prediction_id": label.prediction_id, "label": label.label} for label in due]
        told = client.post(f"/v1/models/{self._model}/feedback", {"labels": labels})
        if told["unknown"]:
            raise ServerError(f"the data plane has answered, but does not know, {told['unknown'][:3]}")
        self.labelled += len(due)
