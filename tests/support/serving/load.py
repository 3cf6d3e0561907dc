"""Callers that ask on and on, whatever happens to the server."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.serving.data_plane import request


@dataclass
class Load:
    """What the callers were told."""

    answered: set[str] = field(default_factory=set)
    """Ids of whole answers with status 200."""
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Status and code of the other answers."""
    versions: dict[str, set[str]] = field(default_factory=dict)
    """Which versions answered a routing key."""
    last_version: str = ""
    unanswered: int = 0

    def wait_for(self, more: int, seconds: float = 20.0) -> None:
        """Until so many more requests are answered."""
        goal, deadline = len(self.answered) + more, time.monotonic() + seconds
        while len(self.answered) < goal:
            assert time.monotonic() < deadline, f"{self.refused}, {self.unanswered} without an answer"
            time.sleep(0.01)


@contextmanager
def load_on(
    model: str, port: Callable[[], int], *, callers: int = 4, pause: float = 0.0, **options: object
) -> Iterator[Load]:
    """Each caller has a connection of its own, which it opens anew when it is closed; `options` as of `request`."""
    load, ending, numbers = Load(), threading.Event(), itertools.count()

    def ask_on() -> None:
        connection: http.client.HTTPConnection | None = None
        while not ending.is_set():
            key = f"customer {next(numbers) % 50}"
            body = json.dumps(request(parameters={"routing_key": key}, **options))
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", port(), timeout=20)
                connection.request("POST", f"/v2/models/{model}/infer", body)
                answer = connection.getresponse()
                body = answer.read()
                content = json.loads(body) if body[:1] == b"{" else {"code": body}
            except (OSError, http.client.HTTPException):
                load.unanswered += 1
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.02)
                continue
            if answer.status == 200:
                load.answered.add(content["id"])
                load.versions.setdefault(key, set()).add(content["model_version"])
                load.last_version = content["model_version"]
            else:
                load.refused[answer.status, content["code"]] += 1
            time.sleep(pause)
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=ask_on) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ending.set()
        for thread in threads:
            thread.join()
