"""One prediction has one label, whatever ids clients choose and repeat."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import CorruptedError
from mlops_dagster.predictions import Answered, FeedbackResult, Hit, PredictionRecord, Spool
from mlops_dagster.predictions.encoded import LabelEntry

Make = Callable[..., PredictionRecord]


def arms_of(spool: Spool, after: int = 0) -> list[list[tuple[str, str]]]:
    """For every label of the spool, the arms it is evidence for: (request, version)."""
    labels = [entry.label() for entry in spool.read(after) if entry.is_label]
    return [[(arm["request"], arm["version"]) for arm in label["arms"]] for label in labels]


@contextmanager
def counted_steps(spool: Spool) -> Iterator[list[int]]:
    """Count the steps of SQLite's machine that write the index, in hundreds: unlike seconds, always the same."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    connection = spool.awaiting._file._writer
    connection.set_progress_handler(count, 100)
    yield steps
    connection.set_progress_handler(None, 100)


def test_42_000_requests_with_one_id_cost_no_more_each_than_the_first(spool: Spool, record: Make) -> None:
    """As the examples of some servers send them: every request is called "1"."""

    def index(numbers: range) -> int:
        spool.append([record(number, prediction_id="1", key=f"N{number}") for number in numbers])
        with counted_steps(spool) as steps:
            spool.index()
        return steps[0]

    first = index(range(2_000))
    index(range(2_000, 40_000))
    last = index(range(40_000, 42_000))
    assert last <= 1.2 * first
    with spool.awaiting._file.reading() as connection:
        ((rows, longest),) = connection.execute("SELECT count(*), max(length(arms)) FROM awaiting").fetchall()
    assert (rows, longest < 300) == (1, True)
    assert spool.awaiting.repeated() == {"flights": 41_999}

    sent = [("1", "on_time", None)] * 10_000
    for told in range(4):
        result = spool.feedback(sent, model="flights")
        assert (result.accepted, result.corrections, result.repeated) == (10_000, 0, 10_000 - (told == 0))
        assert sum(result.hits.values()) == (told == 0)
    assert arms_of(spool, after=42_000) == [[("r0", "1.0.0")]]


def test_an_id_is_held_by_the_first_that_is_answered_and_a_label_is_evidence_for_its_arms_alone(
    spool: Spool, record: Make
) -> None:
    shadow = {"role": "shadow", "version": "1.2.0", "weight": 0.0}
    failed = {"status": "failed", "prediction": None}
    spool.append(
        [record(0, **failed), record(0, **shadow, beside=Answered("1.0.0", "champion", "failed"))]
    )  # its client asks again
    spool.append([record(0, request="again")])
    spool.append([record(0, request="and again"), record(0, **shadow, request="and again")])
    spool.append([record(0, **shadow, request="again")])
    spool.append([record(0, request="by name", role="named", version="1.3.0")])
    result = spool.feedback([("p0", "late", None)], model="flights")
    assert result.hits == {
        Hit("flights", "1.0.0", "champion", "late", "late"): 1,
        Hit("flights", "1.2.0", "shadow", "late", "late"): 1,
    }
    assert arms_of(spool) == [[("again", "1.0.0"), ("again", "1.2.0")]]
    assert spool.awaiting.repeated() == {"flights": 2}


def test_a_request_called_like_a_row_of_another_does_not_take_its_label(spool: Spool, record: Make) -> None:
    spool.append([record(0, prediction_id=f"a/{row}", request="many", row=row) for row in range(3)])
    spool.append([record(0, prediction_id="a/0", request="one", prediction="on_time")])
    result = spool.feedback([("a/0", "late", None), ("a/1", "on_time", None)], model="flights")
    assert (result.accepted, sum(result.hits.values())) == (2, 2)
    assert arms_of(spool) == [[("many", "1.0.0")], [("many", "1.0.0")]]


def test_one_id_sent_to_two_models_is_two_predictions(spool: Spool, record: Make, march: datetime) -> None:
    """As an order that is scored for fraud and for its delivery."""
    for number, model in enumerate(("fraud", "delivery")):
        spool.append([record(number, prediction_id="order-7", model=model)])
    assert spool.awaiting.repeated() == {}
    for model, label in (("delivery", "late"), ("fraud", "on_time")):
        result = spool.feedback([("order-7", label, None)], model=model)
        assert result == FeedbackResult(1, 0, [], {Hit(model, "1.0.0", "champion", "late", label): 1})
    assert spool.feedback([("order-7", "late", march)], model="other") == FeedbackResult(0, 0, ["order-7"])


def test_what_is_forgotten_is_of_one_model_and_one_request(spool: Spool, record: Make) -> None:
    spool.append([record(0, model=model) for model in ("flights", "other")])
    spool.append([record(0, request="again")])
    spool.forget("flights", [("p0", "again")])
    assert spool.feedback([("p0", "late", None)], model="flights").accepted == 1
    spool.forget("flights", [("p0", "r0")])
    assert spool.feedback([("p0", "on_time", None)], model="flights").unknown == ["p0"]
    assert spool.feedback([("p0", "late", None)], model="other").accepted == 1
    spool.append([record(0, request="a new one")])
    assert spool.feedback([("p0", "on_time", None)], model="flights").corrections == 0
    assert arms_of(spool)[-1] == [("a new one", "1.0.0")]


@pytest.mark.parametrize("where", ["before its transaction", "within", "after it", "feedback that is refused"])
def test_a_late_arm_becomes_an_entry_once_wherever_the_process_dies(
    spool: Spool, record: Make, march: datetime, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    spool.append([record(0)])
    spool.feedback([("p0", "late", None)], model="flights")
    spool.append([record(0, role="paired", version="1.1.0")])
    broken = "CREATE TRIGGER broken BEFORE UPDATE ON late BEGIN SELECT RAISE(ABORT, 'broken'); END"
    doing = spool.index
    with monkeypatch.context() as patch:
        match where:
            case "before its transaction":
                patch.setattr(spool, "_append_late", die)
            case "within":
                spool._file._writer.execute(broken)
            case "after it":
                patch.setattr(spool.awaiting, "late_is_kept", die)
            case _:
                patch.setattr(spool, "index", lambda: None)  # as if the row had come right after it
                doing = partial(spool.feedback, [("p0", "late", march.replace(tzinfo=None))], model="flights")
        with pytest.raises((KeyboardInterrupt, CorruptedError, ValueError)):
            doing()
    spool._file._writer.execute("DROP TRIGGER IF EXISTS broken")
    spool.close()
    again = Spool(spool.path)
    for _ in range(2):
        again.index()
    (late,) = [entry.late() for entry in again.read(0) if entry.is_late]
    assert (late["late"]["version"], [arm["version"] for arm in late["beside"]]) == ("1.1.0", ["1.0.0"])
    assert again.awaiting.late(again.id) == []


def test_a_late_arm_of_another_request_with_the_same_id_is_none(spool: Spool, record: Make) -> None:
    spool.append([record(0)])
    spool.feedback([("p0", "late", None)], model="flights")
    spool.append([record(0, request="again"), record(0, role="paired", version="1.1.0", request="again")])
    spool.index()
    assert not any(entry.is_late for entry in spool.read(0))


Model = st.sampled_from(["m", "n"])
Id = st.sampled_from(["1", "a", "a/0"])
Step = st.one_of(
    st.tuples(st.just("ask"), Model, Id, st.sampled_from([1, 1, 2]), st.booleans()),
    st.tuples(st.just("beside"), st.integers(0, 5)),
    st.tuples(st.just("label"), Model, st.sampled_from(["1", "a", "a/0", "a/1", "1/0"]), st.sampled_from(["x", "y"])),
    st.just(("index",)),
)


def test_the_first_label_is_evidence_for_exactly_the_arms_of_one_request(spool: Spool, record: Make) -> None:
    """Whatever is asked, asked again, scored beside, labelled and labelled again, in whichever order."""
    examples = itertools.count()

    @settings(max_examples=150)
    @given(st.lists(Step, max_size=30))
    def holds(steps: list[tuple]) -> None:
        example, names, begin = next(examples), itertools.count(), spool.last_number()
        account = Account()
        for step in steps:
            match step:
                case ("ask", model, name, rows, failed):
                    request = f"{example}-{next(names)}"
                    ids = [name] if rows == 1 else [f"{name}/{row}" for row in range(rows)]
                    asked = [
                        record(row, prediction_id=each, request=request, model=f"{model}{example}", row=row)
                        for row, each in enumerate(ids)
                    ]
                    fate = {"status": "failed", "prediction": None} if failed else {}
                    spool.append([each._replace(**fate) for each in asked])
                    account.ask([each._replace(role="shadow", version="2.0.0") for each in asked], failed=failed)
                case ("beside", number) if number < len(account.beside):
                    row = account.beside.pop(number)
                    spool.append([row])
                    account.score(row)
                case ("label", model, name, label):
                    spool.index()  # and late arms that it finds become entries now
                    before = spool.last_number()
                    result = spool.feedback([(name, label, None)], model=f"{model}{example}")
                    new = [entry.label() for entry in spool.read(before)]
                    account.label(f"{model}{example}", name, label, result, new)
                case ("index",):
                    spool.index()
        spool.index()
        late = [entry.late() for entry in spool.read(begin, 100_000) if entry.is_late]
        found = [(each["model"], each["label"], each["late"]["request"]) for each in late]
        assert found == [each[:3] for each in account.late]
        sides = [([arm["version"] for arm in each["beside"]], each["late"]["version"]) for each in late]
        assert sides == [each[3:] for each in account.late]
        repeated = {model: count for model, count in spool.awaiting.repeated().items() if model[1:] == str(example)}
        assert repeated == account.repeated

    holds()


class Account:
    """The same, kept naively."""

    def __init__(self) -> None:
        self.beside: list[PredictionRecord] = []
        """Scorings off the response path that have not ended yet."""
        self.repeated: Counter[str] = Counter()
        self._holder: dict[tuple[str, str], str] = {}
        self._arms: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._labels: dict[tuple[str, str], str] = {}
        self._first: dict[tuple[str, str], str] = {}
        self.late: list[tuple[str, str, str, list[str], str]] = []
        """Model, first label, request, the arms before and the late one."""

    def ask(self, others: list[PredictionRecord], *, failed: bool) -> None:
        self.beside += others
        for row in others if not failed else []:
            holder = self._holder.setdefault((row.model, row.prediction_id), row.request)
            self._arms[row.model, row.prediction_id, row.request].append("1.0.0")
            self.repeated[row.model] += holder != row.request

        self.repeated = +self.repeated  # without the zeros

    def score(self, row: PredictionRecord) -> None:
        arms = self._arms[row.model, row.prediction_id, row.request]
        its = row.model, row.prediction_id
        if its in self._first and self._holder[its] == row.request:
            self.late.append((row.model, self._first[its], row.request, list(arms), row.version))
        arms.append(row.version)

    def label(self, model: str, name: str, label: str, result: FeedbackResult, new: list[LabelEntry]) -> None:
        holder, before = self._holder.get((model, name)), self._labels.get((model, name))
        if holder is None:
            assert (result.unknown, new) == ([name], [])
            return
        if before == label and not new:
            assert result.repeated == 1
            return
        (entry,) = new
        self._first.setdefault((model, name), label)
        self._labels[model, name] = label
        assert (entry["model"], entry["prediction_id"], entry["request"]) == (model, name, holder)
        arms = [(arm["request"], arm["version"]) for arm in entry["arms"]]
        expected = [(holder, version) for version in self._arms[model, name, holder]]
        assert arms == ([] if before is not None else expected)
        assert sum(result.hits.values()) == len(arms)
