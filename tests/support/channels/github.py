"""The issues of GitHub's REST API (2022-11-28): create, comment, change, and the two lists."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.channels.stub import Asked, Reply, need

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105
_ISSUE = re.compile(r"/repos/acme/ml/issues/(\d+)(/comments)?")


@dataclass
class Issue:
    number: int
    title: str
    body: str
    labels: list[str]
    updated_at: datetime
    state: str = "open"
    comments: list[dict[str, Any]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        return {"number": self.number, "title": self.title, "body": self.body, "state": self.state}


class GitHubServer:
    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), token: str = TOKEN) -> None:
        self.token, self._now = token, now
        self.issues: list[Issue] = []
        self.refused: list[str] = []

    @property
    def open(self) -> list[str]:
        """The titles of open issues."""
        return [issue.title for issue in self.issues if issue.state == "open"]

    def answer(self, asked: Asked) -> Reply:
        need(asked.headers.get("authorization") == f"Bearer {self.token}", "Bad credentials", 401)
        need(asked.headers.get("accept") == "application/vnd.github+json", "accept", 415)
        need(asked.headers.get("x-github-api-version") == "2022-11-28", "version")
        need(asked.headers.get("user-agent"), "a user agent is needed", 403)
        if asked.path == "/repos/acme/ml/issues":
            return self._create(asked.json()) if asked.method == "POST" else self._list(asked, self.issues)
        found = _ISSUE.fullmatch(asked.path)
        need(found, "Not Found", 404)
        assert found is not None
        number = int(found[1])
        need(0 < number <= len(self.issues), "Not Found", 404)
        issue = self.issues[number - 1]
        if found[2]:
            return self._comment(issue, asked.json()) if asked.method == "POST" else self._list(asked, issue.comments)
        need(asked.method == "PATCH", "Not Found", 404)
        return self._change(issue, asked.json())

    def _create(self, body: dict[str, Any]) -> Reply:
        need(set(body) <= {"title", "body", "labels", "assignees", "milestone"}, "fields", 422)
        need(isinstance(body.get("title"), str) and 0 < len(body["title"]) <= 256, "title", 422)
        need(len(body.get("body", "")) <= 65_536, "body", 422)
        issue = Issue(len(self.issues) + 1, body["title"], body["body"], body["labels"], self._now())
        self.issues.append(issue)
        return Reply(201, issue.json())

    def _comment(self, issue: Issue, body: dict[str, Any]) -> Reply:
        need(set(body) == {"body"} and 0 < len(body["body"]) <= 65_536, "body", 422)
        issue.comments.append({"id": len(issue.comments), "body": body["body"]})
        issue.updated_at = self._now()
        return Reply(201, issue.comments[-1])

    def _change(self, issue: Issue, body: dict[str, Any]) -> Reply:
        need(set(body) <= {"state", "state_reason", "title", "body"}, "fields", 422)
        need(body.get("state") in ("open", "closed"), "state", 422)
        need(body.get("state_reason") in ("completed", "not_planned", "reopened", None), "state_reason", 422)
        issue.state, issue.updated_at = body["state"], self._now()
        return Reply(200, issue.json())

    def _list(self, asked: Asked, found: list[Any]) -> Reply:
        need(asked.method == "GET", "Not Found", 404)
        size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        need(1 <= size <= 100, "per_page", 422)
        since = datetime.fromisoformat(asked.query["since"].replace("Z", "+00:00"))
        need(since.tzinfo, "since", 422)
        if found and isinstance(found[0], Issue):
            # GitHub's own default is to list the open ones alone.
            states = {"all": ("open", "closed")}.get(asked.query.get("state", "open"), ("open",))
            listed = [each for each in reversed(found) if each.state in states and each.updated_at >= since]
            found = [each.json() for each in listed]
        return Reply(200, found[(page - 1) * size : page * size])
