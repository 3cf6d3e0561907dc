"""Two replicas on one log, in one process: what each does, and the audit's own reads, in any order that a seed says."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from unittest import mock

from mlops_dagster.errors import AlreadyRunningError, StorageError
from mlops_dagster.predictions import AuditReport, Choice, PredictionLog, PredictionRecord, Rollups, Spool, audit, erase
from mlops_dagster.predictions.erasure import erase as erasing
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta import upkeep

START = datetime(2013, 3, 1, tzinfo=UTC)
MODELS = ("flights", "taxis")
Loss: TypeAlias = Literal[
    "entry of the spool", "newest entry of the spool", "spool", "newest commit", "file", "damaged file", "doubled"
]


_OLDEST, _NEWEST = (
    f"""DELETE FROM entries WHERE number = (
        SELECT {which}(entries.number) FROM entries, marks WHERE name = 'shipped' AND entries.number > marks.number
    )"""  # noqa: S608  # no parameters
    for which in ("min", "max")
)
LOSSES: tuple[Loss, ...] = get_args(Loss)


class World:
    """Replica 0 audits; replica 1 is another machine. The shared rollups are in a file."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - not for secrets
        self.spools = []
        for number in range(2):
            (folder / str(number)).mkdir(parents=True)
            self.spools.append(Spool(folder / str(number) / "spool.sqlite"))
        self.log = PredictionLog(folder / "log")
        self.rollups = Rollups(f"sqlite:///{folder}/shared.sqlite", consumer="shared")
        for spool in self.spools:
            spool.marks.keep_for(["shared", "shipped"])
        self.done: list[str] = []
        self._rows = 0
        self._acting = False

    def close(self) -> None:
        for store in (*self.spools, self.rollups):
            store.close()

    def act(self) -> None:
        """Something that a replica does."""
        acts = [self.answer] * 4 + [self.label, self.ship, self.ship, self.die_shipping, self.count, self.count]
        act = self.chance.choice([*acts, self.compact, self.erase])
        self.done.append(act.__name__)
        act()

    def answer(self) -> None:
        replica = self.chance.randint(0, 1)
        self.spools[replica].append([self.record(replica) for _ in range(self.chance.randint(1, 3))])

    def label(self) -> None:
        labels = [(str(self.chance.randint(1, self._rows + 1)), "late", None)]
        self.chance.choice(self.spools).feedback(labels, model=self.chance.choice(MODELS))

    def ship(self) -> None:
        self.log.ship(self.chance.choice(self.spools))

    def die_shipping(self) -> None:
        """After the first table, before the next."""
        append_once = delta.Appender.append_once

        def dies(*args, **options):
            append_once(*args, **options)
            raise KeyboardInterrupt

        with suppress(KeyboardInterrupt), mock.patch.object(delta.Appender, "append_once", dies):
            self.ship()

    def count(self) -> None:
        self.rollups.catch_up(self.chance.choice(self.spools), lambda *_: None)

    def compact(self) -> None:
        """And remove what was merged at once, as an erasure does."""
        self.log.tidy()
        for model in self.log.models():
            upkeep.remove_erased_files(self.log.place.table(f"predictions/{model}"))

    def erase(self) -> None:
        spool, model = self.chance.choice(self.spools), self.chance.choice(MODELS)
        if model in self.log.models():
            self.rollups.catch_up(spool, lambda *_: None)
            choice = Choice(model, keys=(f"key {self.chance.randint(0, 3)}",))
            # It may find that another one maintains the log, or late arms that nobody has counted.
            with suppress(AlreadyRunningError, StorageError):
                erase(self.log, spool, [self.rollups], choice, actor="eve", reason="asked for", at=START)

    def lose(self, what: Loss) -> None:
        """Lose something of replica 1 that no other copy is of; it was heard of before."""
        spool, table = self.spools[1], self.log.place.table("predictions/flights").uri
        match what:
            case "entry of the spool" | "newest entry of the spool":
                with spool._file.writing() as connection:
                    connection.execute(_NEWEST if what.startswith("newest") else _OLDEST)
            case "spool":
                spool.close()
                self.spools[1] = Spool(spool.path.with_name("another.sqlite"))
            case "newest commit":
                max(Path(table).glob("_delta_log/*.json")).unlink()
            case "file" | "damaged file":
                file = Path(self.chance.choice(delta.DeltaTable(table).file_uris()))
                file.unlink() if what == "file" else file.write_bytes(file.read_bytes()[:100])
            case "doubled":
                rows = delta.DeltaTable(table).to_pyarrow_table()
                delta.append(self.log.place.table("predictions/flights"), delta.DeltaTable(table), rows.slice(0, 1), {})

    def settle(self) -> None:
        """Ship, and tell of it."""
        for spool in self.spools:
            self.log.ship(spool)
            self.rollups.catch_up(spool, lambda *_: None)

    def audit(self, replica: int = 0) -> AuditReport:
        """What one replica finds while both go on between any two of its reads."""
        with self._interleaved():
            spool, log, rollups = (
                _Slow(each, self._maybe_act) for each in (self.spools[replica], self.log, self.rollups)
            )
            return audit(spool, log, rollups)

    def audit_at_rest(self, replica: int = 0) -> AuditReport:
        return audit(self.spools[replica], self.log, self.rollups)

    @contextmanager
    def _interleaved(self) -> Iterator[None]:
        """Between two looks at a table too, and between two of its files."""

        def before(real: Callable[..., object]) -> Callable[..., object]:
            def slow(*args: object, **options: object) -> object:
                self._maybe_act()
                return real(*args, **options)

            return slow

        slow = {name: before(getattr(delta, name)) for name in ("open_table", "reached", "rows_of")}
        with (
            mock.patch.multiple(delta, **slow),
            mock.patch.multiple(erasing, ROLLUP_SECONDS=0.0, MAINTAINER_SECONDS=0.0),
        ):
            yield

    def _maybe_act(self) -> None:
        if not self._acting and self.chance.random() < 0.4:  # not within what a replica does
            self._acting = True
            try:
                self.act()
            finally:
                self._acting = False

    def record(self, replica: int, model: str | None = None) -> PredictionRecord:
        self._rows += 1
        role = self.chance.choice(["champion", "champion", "canary", "shadow", "none"])
        return PredictionRecord(
            prediction_id=str(self._rows), request=str(self._rows), model=model or self.chance.choice(MODELS),
            version="1.0.0", role=role, weight=1.0, epoch=1, salt="salt", key=f"key {self.chance.randint(0, 3)}",
            received_at=START,
            event_time=START + timedelta(hours=self.chance.randint(0, 80)), status="ok", error=None,
            features={"hour": 6.0}, prediction="late", score=0.5, latency_ms=5.0,
            process=f"replica-{replica}-{self.chance.randint(0, 1)}", row=0, unit=str(self._rows),
        )  # fmt: skip


def audit_under_traffic(world: World) -> None:
    """Raise AssertionError for a loss that an audit tells of while nothing is lost, whichever replica makes it."""
    for _ in range(6):
        world.act()
        for replica in (0, 1):
            report = world.audit(replica)
            assert (report.gaps, report.twice, report.problems) == ((), 0, ()), world.done
            assert report.complete, (world.done, report)


class _Slow:
    """A store of which every call waits for what others do first."""

    def __init__(self, store: object, before: Callable[[], None]) -> None:
        self._store, self._before = store, before

    def __getattr__(self, name: str) -> object:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def slow(*args: object, **options: object) -> object:
            self._before()
            return found(*args, **options)

        return slow
