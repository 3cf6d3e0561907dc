"""Issues of GitHub. GitHub has no keys, so each text carries a mark, which is looked for before it is written again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import orjson

from mlops_dagster.alerting.channels.channel import Receipt
from mlops_dagster.alerting.channels.http import LONGEST_WAIT, Answer, Http, refuse, retry_after
from mlops_dagster.alerting.channels.message import Action, Message, facts
from mlops_dagster.clock import Clock, parse_time
from mlops_dagster.documents.markdown import escape
from mlops_dagster.errors import ChannelRefusedError, TryLaterError

API_VERSION: Final = "2022-11-28"
LONGEST_TITLE: Final = 256
PAGE: Final = 100
MOST_PAGES: Final = 10

_CLOCKS_DIFFER = timedelta(minutes=10)
_LIMITED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


class GitHub:
    """The issues of one repository."""

    digests = True
    keyed = False
    pauses: Sequence[timedelta] | None = None
    refresh_every: timedelta | None = None

    def __init__(
        self,
        name: str,
        http: Http,
        address: str,
        token: str,
        clock: Clock,
        *,
        labels: Sequence[str] = ("mlops",),
        reopen: timedelta = timedelta(days=7),
    ) -> None:
        """Write to the repository at `address`, https://api.github.com/repos/OWNER/NAME."""
        self.name, self._http, self._address, self._clock = name, http, address, clock
        self.place = address
        self._labels, self._reopen = list(labels), reopen
        self._headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/vnd.github+json",
            "content-type": "application/json",
            "x-github-api-version": API_VERSION,
        }

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Open, comment on, or close the issue of the alert. See Channel.send."""
        issue = _number(receipt)
        if action is Action.OPEN and issue is not None and self._closed_lately(receipt or {}):
            self._comment(issue, message, again=again)
            self._change(issue, {"state": "open", "state_reason": "reopened"})
        elif issue is None or action in (Action.OPEN, Action.CHANGE, Action.DIGEST):
            issue = self._create(message, again=again)
            if action in (Action.CHANGE, Action.DIGEST, Action.RESOLVE):
                self._close(issue)
        else:
            self._comment(issue, message, again=again)
            if action is Action.RESOLVE:
                self._close(issue)
        closed = action not in (Action.OPEN, Action.UPDATE, Action.ACKNOWLEDGE)
        return {"issue": issue, **({"closed_at": self._clock.now().isoformat()} if closed else {})}

    def _closed_lately(self, receipt: Receipt) -> bool:
        closed_at = receipt.get("closed_at")
        return isinstance(closed_at, str) and self._clock.now() - parse_time(closed_at) < self._reopen

    def _create(self, message: Message, *, again: bool) -> int:
        found = self._find(f"{self._address}/issues", message, {"state": "all"}) if again else None
        if found is None:
            issue = {"title": title_of(message), "body": body_of(message), "labels": self._labels}
            found = self._call("POST", f"{self._address}/issues", issue)
        number = found.get("number") if isinstance(found, dict) else None
        if not isinstance(number, int):
            raise TryLaterError("the answer has no number of an issue; is this GitHub's REST API?", taken=True)
        return number

    def _comment(self, issue: int, message: Message, *, again: bool) -> None:
        address = f"{self._address}/issues/{issue}/comments"
        if not again or self._find(address, message, {}) is None:
            self._call("POST", address, {"body": comment_of(message)})

    def _close(self, issue: int) -> None:
        self._change(issue, {"state": "closed", "state_reason": "completed"})

    def _change(self, issue: int, change: Mapping[str, str]) -> None:
        try:
            self._call("PATCH", f"{self._address}/issues/{issue}", change)
        except TryLaterError as error:
            error.taken = True  # the text that comes before each change has arrived
            raise

    def _find(self, address: str, message: Message, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return the issue or comment that has the mark of the message; None if an earlier try left none."""
        since = (message.told_at - _CLOCKS_DIFFER).astimezone(UTC)
        for page in range(1, MOST_PAGES + 1):
            asked = {**query, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}", "per_page": str(PAGE), "page": str(page)}
            found = self._call("GET", f"{address}?{'&'.join(f'{name}={text}' for name, text in asked.items())}")
            if not isinstance(found, list):
                raise TryLaterError("the answer has another form than a list of issues; is this GitHub's REST API?")
            marked = (each for each in found if isinstance(each, dict) and mark_of(message) in str(each.get("body")))
            if (one := next(marked, None)) is not None:
                return one
            if len(found) < PAGE:
                break
        return None

    def _call(self, method: str, address: str, body: Mapping[str, object] | None = None) -> Any:  # JSON of GitHub
        answer = self._http.exchange(method, address, None if body is None else orjson.dumps(body), self._headers)
        if answer.status in _LIMITED and (pause := self._pause(answer)) is not None:
            raise TryLaterError("GitHub's rate limit is used up", after=pause, channel=True)
        if answer.status == HTTPStatus.GONE:
            raise ChannelRefusedError("410 Gone: the issue was deleted, or the repository has issues turned off")
        refuse(answer)
        return answer.json()

    def _pause(self, answer: Answer) -> timedelta | None:
        """Return the pause that a rate limit asks for; None if the answer is about something else."""
        if (pause := retry_after(answer)) is not None:
            return pause
        if answer.headers.get("x-ratelimit-remaining") != "0":
            return None
        try:
            reset = datetime.fromtimestamp(int(answer.headers["x-ratelimit-reset"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            return timedelta(minutes=1)
        return min(max(reset - self._clock.now(), timedelta(seconds=1)), LONGEST_WAIT)


def title_of(message: Message) -> str:
    title = message.title
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 4]} ..."


def body_of(message: Message) -> str:
    """Return the body of an issue, in Markdown, with the mark by which it is found again."""
    return "\n".join([escape(message.summary), "", *_lines(message), "", mark_of(message)])


def comment_of(message: Message) -> str:
    """Return the text of a comment, in Markdown, with its mark."""
    return "\n".join([f"**{escape(message.title)}**", "", body_of(message)])


def mark_of(message: Message) -> str:
    return f"<!-- mlops {message.key.replace('--', '- -')} {message.id.replace('--', '- -')} -->"


def _lines(message: Message) -> Iterator[str]:
    for name, text in facts(message):
        yield f"- {name}: " + (f"`{text}`" if name == "To do" else escape(text))
    for link in message.links:
        yield f"- [{escape(link.text)}]({link.url})"


def _number(receipt: Receipt | None) -> int | None:
    number = None if receipt is None else receipt.get("issue")
    return number if isinstance(number, int) else None
