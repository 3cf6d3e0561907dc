"""What counts once: a second, plain account of requests, units and pairs, for any traffic, labels and folding."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from mlops_dagster.predictions import (
    Answered,
    BothScored,
    EventCounts,
    Pair,
    PairedCounts,
    Rollups,
    Spool,
    arm_cohorts,
    speaking_row,
    unit_of,
)

CHAMPION, CANARY, SHADOW = "1.0.0", "1.1.0", "1.2.0"
PAIRS = [(CHAMPION, CANARY), (CHAMPION, SHADOW)]
SPOOLS = 3
EARLY = (73, 74)  # minutes after the first of March
LATER = 1500  # on its second day, and less than 24 hours later: no key of a minute is forgotten by then

Request = st.fixed_dictionaries(
    {
        "spool": st.integers(0, SPOOLS - 1),
        "minute": st.sampled_from([*EARLY, 700, 1430, 1445, LATER, LATER + 9]),
        "rows": st.sampled_from([1, 1, 1, 2, 3, 50]),
        "key": st.sampled_from([None, None, "ada", "bob"]),
        "x": st.integers(0, 3),
        "salt": st.sampled_from(["salt", "salt", "pepper"]),
        "canary": st.booleans(),
        "beside": st.sets(st.sampled_from(["paired", "shadow"])),
        "late": st.booleans(),  # scored beside the answer only when all labels have come
        "failed": st.tuples(*[st.sampled_from([False, False, True])] * 3),
        "slow": st.booleans(),
        "right": st.tuples(*[st.integers(0, 3)] * 3),  # every so many rows; 0: none
    }
)


# What is counted is computed by the same lines on both; PostgreSQL, ten times as slow here, is asked for its SQL.
def examples(number: int, database: str) -> settings:
    return settings(max_examples=number if database.startswith("sqlite") else number // 3)


Label = st.tuples(st.integers(0, 25), st.sampled_from([0, 0, 1, 2, 7, 49]), st.sampled_from(["late", "on_time"]))
Step = st.one_of(Request, Label, st.integers(0, SPOOLS - 1))  # a number: that spool is folded


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path) -> str:
    return f"sqlite:///{tmp_path}/units.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def rollups(database) -> Iterator[Rollups]:
    rollups = Rollups(database)
    yield rollups
    rollups.close()


@dataclass
class Account:
    """Dictionaries that are filled in the order of folding."""

    arms: Counter = field(default_factory=Counter)
    both: Counter = field(default_factory=Counter)
    outcomes: Counter = field(default_factory=Counter)
    cohorts: Counter = field(default_factory=Counter)
    speakers: dict = field(default_factory=dict)
    seen: set = field(default_factory=set)

    def first(self, *event: object) -> bool:
        """Of a key its first, without a key each."""
        known, key = event in self.seen, event[-1]
        self.seen.add(event)
        return key is None or not known

    def fold(self, items: list) -> None:
        for item in items:
            if item["kind"] == "label":
                self.label(item)
            else:
                self.scored(item)

    def scored(self, scoring: dict) -> None:
        """One version's scoring of a request."""
        at, role, version = (scoring[name] for name in ("minute", "role", "version"))
        arm, rows, key, salt = (version, role, scoring["weight"], at), scoring["rows"], scoring["key"], scoring["salt"]
        failed, answer = scoring["status"] == "failed", scoring["answer"]
        served = role in ("champion", "canary")
        scope = (salt, "served") if served else (salt, role, version)
        self.arms[*arm, "requests"] += 1
        self.arms[*arm, "rows"] += rows
        if failed:
            self.arms[*arm, "errors"] += 1
            self.arms[*arm, "failed_rows"] += rows
            self.arms[*arm, "bad_errors"] += self.first(scope, "error", key)
        if scoring["latency_ms"] > 200:
            self.arms[*arm, "slow"] += 1
            self.arms[*arm, "bad_slow"] += self.first(scope, "slow", key)
        if (
            served
            and not failed
            and self.speakers.setdefault(scoring["unit"], scoring["request"]) == scoring["request"]
        ):
            self.arms[*arm, "units"] += 1
        if served or (answer["role"] == "canary" and role == "shadow"):
            return
        pair = (CHAMPION, SHADOW if role == "shadow" else CANARY)
        bad = {version: failed, answer["version"]: answer["status"] == "failed"}
        counts = self.first(*pair, at, "both", key)
        self.both[*pair, at, "requests"] += counts
        if any(bad.values()):
            who = "both_failed" if all(bad.values()) else "champion_failed" if bad[CHAMPION] else "challenger_failed"
            self.both[*pair, at, who] += counts
        elif self.speakers.get(scoring["unit"]) == scoring["request"]:
            self.cohorts[*pair, at, "units"] += 1

    def label(self, item: dict) -> None:
        truth, row, new = item["label"], item["row"], item["new"]
        known = {each["role"]: each for each in item["scorings"] if each["status"] == "ok"}
        for role, scoring in known.items():
            if scoring not in new:
                continue
            arm = (scoring["version"], role, scoring["weight"], scoring["minute"])
            wrong = scoring["predictions"][row] != truth
            self.arms[*arm, "labelled"] += 1
            self.arms[*arm, "wrong"] += wrong
            if role in ("champion", "canary") and self.speaks(scoring, row):
                self.arms[*arm, "unit_labels"] += 1
                self.arms[*arm, "bad_wrong"] += wrong
        for pair in PAIRS:
            sides = [each for version in pair for each in known.values() if each["version"] == version]
            answered = "canary" in known or "champion" in known
            if len(sides) < 2 or not any(side in new for side in sides):
                continue
            if not answered or ("canary" in known and pair[1] == SHADOW):
                continue
            if self.speaks(sides[0], row):
                right = [side["predictions"][row] == truth for side in sides]
                outcome = {(False, True): "wins", (True, False): "losses"}.get(tuple(right), "ties")
                self.outcomes[*pair, sides[0]["minute"], truth, outcome] += 1

    def speaks(self, scoring: dict, row: int) -> bool:
        return row == scoring["speaker"] and self.speakers[scoring["unit"]] == scoring["request"]


def test_what_is_counted_agrees_with_a_plain_account(tmp_path, record, march, rollups, database):
    spools = [Spool(tmp_path / f"spool-{number}.sqlite") for number in range(SPOOLS)]
    models = (f"model-{number}" for number in itertools.count())  # one for each example: they share the files

    @examples(40, database)
    @given(st.lists(Step, min_size=5, max_size=40), st.permutations(range(SPOOLS)))
    def agree(steps: list, order: list[int]) -> None:
        model, account = next(models), Account()
        waiting: dict[int, list] = {number: [] for number in range(SPOOLS)}
        served: list[dict] = []
        labelled: set = set()
        late: list[tuple[dict, list]] = []

        def append(request: dict, scorings: list[dict]) -> None:
            spools[request["spool"]].append([row for each in scorings for row in rows_of(record, model, each, march)])
            request["done"] += scorings
            waiting[request["spool"]] += scorings

        def fold(number: int) -> None:
            rollups.catch_up(spools[number], lambda *_: None)
            account.fold(waiting[number])
            waiting[number] = []

        for step in steps:
            if isinstance(step, int):
                fold(step)
            elif isinstance(step, dict):
                request = {**step, "name": f"{model}-{len(served)}", "done": [], "labels": []}
                answer, *beside = scorings_of(request)
                append(request, [answer] if step["late"] else [answer, *beside])
                if step["late"] and beside:
                    late.append((request, beside))
                served.append(request)
            elif step[0] < len(served) and step[1] < served[step[0]]["rows"] and step[:2] not in labelled:
                request, row = served[step[0]], step[1]
                name = prediction_id(request["name"], row, request["rows"])
                result = spools[request["spool"]].feedback([(name, step[2], None)], model=model)
                if result.accepted:
                    labelled.add(step[:2])
                    label = {"kind": "label", "label": step[2], "row": row, "scorings": list(request["done"])}
                    waiting[request["spool"]].append({**label, "new": label["scorings"]})
                    request["labels"].append(label)
        for request, beside in late:
            append(request, beside)
            # Rows that none of them answered hold no label: then there was none to be accepted.
            for label in request["labels"]:
                waiting[request["spool"]].append({**label, "scorings": request["done"], "new": beside})
        for number in order:
            fold(number)
        compare(rollups, model, march, account)

    agree()


def test_what_is_counted_does_not_depend_on_how_it_is_dealt_and_folded(tmp_path, record, march, database):
    """The same requests and labels in one spool, or in three that are folded in any order: the same sums."""
    rollups = [Rollups(f"sqlite:///{tmp_path}/one.sqlite"), Rollups(f"sqlite:///{tmp_path}/many.sqlite")]
    if database.startswith("postgresql"):
        rollups[1] = Rollups(database)
    spools = [Spool(tmp_path / f"spool-{number}.sqlite") for number in range(SPOOLS + 1)]
    models = (f"model-{number}" for number in itertools.count())

    @examples(25, database)
    @given(st.lists(Request, min_size=2, max_size=25), st.lists(st.integers(0, SPOOLS - 1), max_size=25))
    def agree(requests: list[dict], folds: list[int]) -> None:
        model, until = next(models), march + timedelta(days=9)
        for number, step in enumerate(requests):
            request = {**step, "name": f"{model}-{number}"}
            rows = [row for each in scorings_of(request) for row in rows_of(record, model, each, march)]
            for spool in (spools[request["spool"]], spools[SPOOLS]):
                spool.append(rows)
                ids = {row.prediction_id for row in rows if row.prediction is not None}
                spool.feedback([(name, "late", None) for name in sorted(ids)], model=model)
            for folded in folds[number : number + 1]:
                rollups[1].catch_up(spools[folded], lambda *_: None)
        rollups[0].catch_up(spools[SPOOLS], lambda *_: None)
        for number in reversed(range(SPOOLS)):
            rollups[1].catch_up(spools[number], lambda *_: None)
        one, many = (sums(each, model, march, until) for each in rollups)
        assert one == many

    agree()
    for each in rollups:
        each.close()


Doing = st.sampled_from(["paired", "shadow", "label", "correct", "label", "index", "fold"])


def test_labels_count_the_same_before_between_and_after_what_is_scored_beside_the_answer(
    tmp_path, record, march, rollups, database
):
    """Once as they come, in any order, indexed and folded in between, and once with all labels last."""
    spools = [Spool(tmp_path / f"spool-{number}.sqlite") for number in range(2)]
    models = (f"model-{number}" for number in itertools.count())

    @examples(60, database)
    @given(st.lists(Request, min_size=1, max_size=6), st.lists(st.tuples(Doing, st.integers(0, 5)), max_size=30))
    def agree(requests: list[dict], doings: list[tuple[str, int]]) -> None:
        model, until = next(models), march + timedelta(days=9)
        names = [f"{model}-as-it-comes", f"{model}-labels-last"]
        requests = [{**each, "name": f"{model}-{number}"} for number, each in enumerate(requests)]
        beside: dict[tuple[int, str], dict] = {}
        labelled: set[int] = set()

        def score(scoring: dict) -> None:
            for spool, name in zip(spools, names, strict=True):
                spool.append(rows_of(record, name, scoring, march))

        def tell(which: int, number: int, label: str) -> None:
            rows, request = requests[number]["rows"], requests[number]["name"]
            sent = [(prediction_id(request, row, rows), label, None) for row in range(rows)]
            spools[which].feedback(sent, model=names[which])

        for number, request in enumerate(requests):
            answer, *others = scorings_of(request)
            score(answer)
            beside |= {(number, each["role"]): each for each in others}
        for doing, number in [*doings, *(key[::-1] for key in beside)]:
            match doing:
                case "index":
                    spools[0].index()
                case "fold":
                    rollups.catch_up(spools[0], lambda *_: None)
                case "paired" | "shadow" if (number, doing) in beside:
                    score(beside.pop((number, doing)))
                case "label" if number < len(requests):
                    labelled.add(number)
                    tell(0, number, "late")
                case "correct" if number in labelled:
                    tell(0, number, "on_time")
        for number in labelled:
            tell(1, number, "late")
        for spool in spools:
            rollups.catch_up(spool, lambda *_: None)
        one, other = (whole(rollups, name, march, until) for name in names)
        assert one == other

    agree()


def whole(rollups: Rollups, model: str, since: datetime, until: datetime) -> list[object]:
    """All that is counted of arms and pairs."""
    found: list[object] = [rollups.events(model, since, until), rollups.confusion(model, None, since, until)]
    for pair in PAIRS:
        its = Pair(model, *pair)
        found += [its.outcomes(rollups, [since], until), its.both_scored(rollups, [since], until)]
        found.append(its.cohorts(rollups, since, until))
    return found


def sums(rollups: Rollups, model: str, since: datetime, until: datetime) -> list[object]:
    """What no order of folding changes: all counts of requests and rows, and how many units and keys there were.

    Which row speaks, and which request is a key's first of a minute, is a matter of order where spools are several.
    """
    arms = rollups.events(model, since, until)
    plain = ("requests", "errors", "slow", "rows", "failed_rows", "labelled", "wrong")
    once = ("bad_errors", "bad_slow", "units", "unit_labels")
    found: list[object] = [[(each[:3], *(getattr(each.counts, name) for name in plain)) for each in arms]]
    served = sum((each.counts for each in arms if each.role in ("champion", "canary")), EventCounts())
    found.append([getattr(served, name) for name in once])
    for pair in PAIRS:
        found += [each.requests for each in Pair(model, *pair).both_scored(rollups, [since], until)]
        cohorts = Pair(model, *pair).cohorts(rollups, since, until).values()
        units, labelled = sum(each.units for each in cohorts), sum(each.labelled for each in cohorts)
        assert labelled <= units
    assert served.unit_labels <= served.units
    return found


def scorings_of(request: dict) -> list[dict]:
    """The answer, then what was scored beside it."""
    answered = ("canary", CANARY, 0.25) if request["canary"] else ("champion", CHAMPION, 0.75)
    other = {"paired": CHAMPION if request["canary"] else CANARY, "shadow": SHADOW}
    beside = [(role, other[role], 0.25) for role in ("paired", "shadow") if role in request["beside"]]
    rows, speaker = request["rows"], speaking_row(request["name"], request["rows"])
    at = request["minute"]
    unit = (("key", request["key"]) if request["key"] else request["x"] + speaker, at // 1440)
    scorings = []
    for (role, version, weight), failed, right in zip(
        [answered, *beside], request["failed"], request["right"], strict=False
    ):
        scorings.append(
            {
                "kind": "scoring",
                "request": request["name"],
                "role": role,
                "version": version,
                "weight": weight,
                "minute": at,
                "rows": rows,
                "key": request["key"],
                "salt": request["salt"],
                "x": request["x"],
                "status": "failed" if failed else "ok",
                "latency_ms": 300.0 if request["slow"] else 5.0,
                "predictions": ["late" if right and row % right == 0 else "on_time" for row in range(rows)],
                "speaker": speaker,
                "unit": unit,
                "answer": scorings[0] if scorings else None,
            }
        )
    return scorings


def prediction_id(name: str, row: int, rows: int) -> str:
    return name if rows == 1 else f"{name}/{row}"


def rows_of(record: Any, model: str, scoring: dict, march: datetime) -> list:
    """As the data plane writes them."""
    at, answer, failed = march + timedelta(minutes=scoring["minute"]), scoring["answer"], scoring["status"] == "failed"
    inputs = {"x": [float(scoring["x"] + row) for row in range(scoring["rows"])]}
    return [
        record(
            0,
            prediction_id=prediction_id(scoring["request"], row, scoring["rows"]),
            request=scoring["request"],
            model=model,
            event_time=at,
            unit=unit_of("1", scoring["key"], inputs, row, at) if row == scoring["speaker"] else "",
            beside=None if answer is None else Answered(answer["version"], answer["role"], answer["status"]),
            prediction=None if failed else scoring["predictions"][row],
            score=None if failed else 0.9,
            row=row,
            features={},
            **{name: scoring[name] for name in ("role", "version", "weight", "key", "salt", "status", "latency_ms")},
        )
        for row in range(scoring["rows"])
    ]


def compare(rollups: Rollups, model: str, march: datetime, account: Account) -> None:
    """From the beginning on, and from a later start on."""
    until, starts = march + timedelta(days=9), [0, EARLY[1], LATER]
    since = [march + timedelta(minutes=minute) for minute in starts]
    for start, arms in zip(starts, rollups.events_since(model, since, until), strict=True):
        found = {
            (each.version, each.role, each.weight, name): value
            for each in arms
            for name in (each.name for each in fields(EventCounts))
            if (value := getattr(each.counts, name))
        }
        assert found == from_then_on(account.arms, start, 3)
    for pair in PAIRS:
        its = Pair(model, *pair)
        for start, both, outcomes in zip(
            starts, its.both_scored(rollups, since, until), its.outcomes(rollups, since, until), strict=True
        ):
            expected = from_then_on(of(account.both, pair), start, 0)
            assert both == BothScored(**{name: n for (name,), n in expected.items()})
            known: dict[str, PairedCounts] = {}
            for (label, outcome), n in from_then_on(of(account.outcomes, pair), start, 0).items():
                known[label] = known.get(label, PairedCounts()) + PairedCounts(**{outcome: n})
            assert outcomes == known
        cohorts: Counter = Counter()
        for (minute, _), n in of(account.cohorts, pair).items():
            cohorts[march + timedelta(minutes=minute // 10 * 10)] += n
        assert {at: each.units for at, each in its.cohorts(rollups, march, until).items() if each.units} == cohorts
        days = its.outcomes_by_day(rollups, march, until)
        assert sum(days, PairedCounts()) == sum(outcomes_of(account, pair), PairedCounts())
    for version in (CHAMPION, CANARY):
        units = sum(each.units for each in arm_cohorts(rollups, model, version, march, until).values())
        assert units == sum(n for (its, *_, name), n in account.arms.items() if its == version and name == "units")


def outcomes_of(account: Account, pair: tuple[str, str]) -> list[PairedCounts]:
    return [PairedCounts(**{outcome: n}) for (_, _, outcome), n in of(account.outcomes, pair).items()]


def of(counts: Counter, pair: tuple[str, str]) -> Counter:
    return Counter({key[2:]: n for key, n in counts.items() if key[:2] == pair})


def from_then_on(counts: Counter, start: int, at: int) -> dict:
    """The sums from a minute on; `at` is where it stands in a key."""
    found: Counter = Counter()
    for key, n in counts.items():
        if key[at] >= start:
            found[key[:at] + key[at + 1 :]] += n
    return {key: n for key, n in found.items() if n}


def test_the_row_that_speaks_is_chosen_by_the_request_alone_and_each_has_the_same_chance():
    chosen = Counter(speaking_row(f"process-1-{number:08x}", 5) for number in range(5000))
    assert set(chosen) == set(range(5))
    assert max(abs(n - 1000) for n in chosen.values()) < 150
    assert speaking_row("process-1-00000001", 5) == speaking_row("process-1-00000001", 5)


def test_a_unit_is_a_key_whatever_it_asks_or_else_the_inputs_and_of_one_day():
    before, after = datetime(2013, 3, 1, 23, 59, tzinfo=UTC), datetime(2013, 3, 2, 0, 1, tzinfo=UTC)
    seven, eight = {"hour": [7.0], "to": ["LA"]}, {"hour": [8.0], "to": ["LA"]}
    ada = unit_of("1", "ada", seven, 0, before)
    assert ada == unit_of("1", "ada", eight, 0, before)
    others = [("1", "bob", before), ("2", "ada", before), ("1w", "ada", before), ("1", "ada", after)]
    assert ada not in [unit_of(trial, key, seven, 0, at) for trial, key, at in others]
    assert unit_of("1", None, seven, 0, before) == unit_of("1", None, dict(reversed(seven.items())), 0, before)
    units = {unit_of("1", None, inputs, 0, at) for inputs in (seven, eight) for at in (before, after)}
    assert len(units | {unit_of("1", "", seven, 0, before)}) == 5
    two = {"hour": [1.0, 7.0], "to": ["NY", "LA"]}
    assert unit_of("1", None, two, 1, before) == unit_of("1", None, seven, 0, before)
    elsewhere = before.astimezone(tz=None)
    assert unit_of("1", None, seven, 0, elsewhere) == unit_of("1", None, seven, 0, before)


def test_rows_that_speak_are_forgotten_after_two_months_and_looking_for_them_scans_nothing(
    spool, rollups, record, march, database
):
    def ask(number: int, days: int) -> tuple[int, int]:
        spool.append([record(number, role="canary", weight=0.1, unit="ada", event_time=march + timedelta(days=days))])
        spool.append([record(number + 1, role="canary", weight=0.1, unit=f"u{number}", event_time=march)])
        rollups.catch_up(spool, lambda *_: None)
        kept = rollups.rows(text("SELECT count(*) FROM units"))[0][0]
        (arm,) = rollups.events("flights", march, march + timedelta(days=99))
        return kept, arm.counts.units

    assert [ask(10, 0), ask(20, 59)] == [(2, 2), (3, 3)]
    spool.append([record(30, role="canary", weight=0.1, unit="new", event_time=march + timedelta(days=61))])
    rollups.catch_up(spool, lambda *_: None)
    assert rollups.rows(text("SELECT unit FROM units"))[0][0] == "new"
    if database.startswith("sqlite"):
        plan = rollups.rows(text("EXPLAIN QUERY PLAN DELETE FROM units WHERE model = 'flights' AND minute < 5"))
        assert "USING INDEX units_by_minute" in str(plan) or "USING COVERING INDEX units_by_minute" in str(plan)
