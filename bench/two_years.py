"""Bytes of every store over two simulated years, with retention as it is by default: flat once 400 days are over.

`python -m bench.two_years [DAYS]`. One model, and one day of each week: two hours with traffic, 10 requests each with
their labels a week later, an hourly report of both kinds for each with a profile and a page, a weekly report, an alert
that is seen each time and resolved every other week, a rollout every four weeks, a run of Dagster; then retention and
the log's upkeep. Delta Lake dates what it removes by the machine's clock, for which no week passes: the bench removes
old versions at once.
"""

import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.table import Table

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.defs.old_runs import delete_old_runs
from mlops_dagster.loop.judging.findings import DRIFT, LABELS, VALIDATION, HourOfDrift, ValidatedHour, WeekOfLabels
from mlops_dagster.loop.retention.apply import apply_retention
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta import upkeep
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.rollout_world import MODEL, START, World

DAYS = 730
HOURS = (6, 18)
WEEK = 7
A_QUARTER = 13 * WEEK
REQUESTS = 10
PROFILE, PAGE = b"p" * 20_000, b"<p>" * 17_000
REASON = "drift was measured on the rows of this hour; no feature has moved " * 20


class TwoYears:
    """The stores of a home, and a day of one model's life at a time."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.world = World(home)
        self.world.champion()
        self.stores = Stores(Settings(home=home), self.world.clock, actor="bench")
        self.versions = 0
        self.removed: Counter[str] = Counter()
        self.seconds = 0.0

    def day(self, number: int) -> None:
        day = START + timedelta(days=number)
        self.world.label()
        for hour in HOURS:
            at = day + timedelta(hours=hour)
            self.world.clock.advance_to(at)
            self.world.serve(wins=1, losses=1, ties=REQUESTS - 2, hours=0, labelled=False)
            self.judge()
        if number % 28 == 0:
            self.roll_out()
        self.world.spool.prune(day - timedelta(days=60))
        self.stores.log.ship(self.world.spool)
        self.week(number)

    def judge(self) -> None:
        stores, now = self.stores, self.world.clock.now()
        stores.reports.save(DRIFT, MODEL, now, HourOfDrift(), verdict="stable", reason=REASON, champion="1.0.0")
        stores.reports.save(VALIDATION, MODEL, now, ValidatedHour(10), verdict="passed", reason=REASON)
        stores.alerts.report(MODEL, Rule.PSI, Severity.WARNING, "a feature has moved", evidence={"reason": REASON})
        stores.profiles.put(f"{MODEL}/1.0.0/{now:%Y-%m-%dT%H}.bin", PROFILE)
        stores.report_pages.put(f"{MODEL}/{now:%Y-%m-%dT%H}.html", PAGE)

    def roll_out(self) -> None:
        self.versions += 1
        self.world.register(f"1.{self.versions}.0")
        for _ in range(6):
            self.world.serve(wins=1, losses=20 if self.versions % 2 else 1, ties=20, hours=1)
            self.world.tick()

    def week(self, number: int) -> None:
        if number % 14 == 0:
            self.stores.alerts.resolve(MODEL, Rule.PSI, "it is over")
        self.stores.reports.save(LABELS, MODEL, self.world.clock.now(), WeekOfLabels(), verdict="stable", reason=REASON)
        self.stores.log.tidy()
        self.a_week_passes()
        self.run_of_dagster()
        began = time.process_time()
        found = apply_retention(self.stores)
        found.check()
        self.removed.update({kind: gone for kind, (_, gone) in found.totals.items()})
        self.removed["runs"] += delete_old_runs(self.instance, self.world.clock.now() - timedelta(days=45))
        self.seconds += time.process_time() - began

    def a_week_passes(self) -> None:
        """Remove the log's old versions, which upkeep does a week later."""
        for name in (f"predictions/{MODEL}", "labels", "erasures"):
            at = self.stores.log.place.table(name)
            table = delta.open_table(at)
            if table is not None:
                upkeep.remove_erased_files(at)
                table.alter.set_table_properties({"delta.logRetentionDuration": "interval 1 seconds"})
                table.create_checkpoint()
                table.cleanup_metadata()

    def run_of_dagster(self) -> None:
        """Materialize something, and let its run be created at the simulated time."""

        @dg.asset
        def drift_report() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(metadata={"reason": REASON})

        done = dg.materialize([drift_report], instance=self.instance)
        with closing(sqlite3.connect(self.home / "dagster" / "history" / "runs.db", timeout=30)) as runs, runs:
            created = f"{self.world.clock.now():%Y-%m-%d %H:%M:%S}"
            runs.execute("UPDATE runs SET create_timestamp = ? WHERE run_id = ?", (created, done.run_id))

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for file in self.home.glob("*.sqlite*"):  # with their write-ahead logs
            name = file.name.removesuffix("-wal").removesuffix("-shm")
            found[name] = found.get(name, 0) + file.stat().st_size
        for folder in ("log", "profiles", "reports", "artifacts", "dagster"):
            for file in [*self.home.glob(f"{folder}/**/*"), *self.home.glob(f"artifacts/{folder}/**/*")]:
                if file.is_file():
                    name = "log: versions" if "_delta_log" in file.parts else folder
                    if not (folder == "artifacts" and {"profiles", "reports"} & set(file.parts)):
                        found[name] = found.get(name, 0) + file.stat().st_size
        return found


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else DAYS
    console, quarters = Console(width=150), []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (home / "dagster").mkdir(parents=True)
        with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
            life = TwoYears(home, instance)
            for number in range(0, days, WEEK):
                life.day(number)
                if number % A_QUARTER == A_QUARTER - WEEK:
                    quarters.append(life.sizes())
                    sizes = ", ".join(f"{name} {size:,}" for name, size in sorted(quarters[-1].items()))
                    console.print(f"Q{len(quarters)}: {sum(quarters[-1].values()):,}; {sizes}", highlight=False)
        table = Table("bytes of", *(f"Q{number}" for number in range(1, len(quarters) + 1)))
        for name in sorted({name for each in quarters for name in each}):
            table.add_row(name, *(f"{each.get(name, 0):,}" for each in quarters))
        table.add_row("all", *(f"{sum(each.values()):,}" for each in quarters))
        console.print(table)
        tables = Table("table", "rows", "bytes", "bytes a row")
        for name, rows, size in _tables(home):
            tables.add_row(name, f"{rows:,}", f"{size:,}", f"{size / rows:,.0f}" if rows else "")
        console.print(tables)
        console.print(f"removed: {dict(life.removed)}; {life.seconds:.1f} s of CPU for {days // WEEK} passes")


def _tables(home: Path) -> Iterator[tuple[str, int, int]]:
    for file in sorted(home.glob("*.sqlite")):
        with closing(sqlite3.connect(file)) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                size = database.execute(
                    "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = ?)",
                    (name,),
                ).fetchone()[0]
                rows = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                if rows > 20:
                    yield f"{file.stem}.{name}", rows, size


if __name__ == "__main__":
    main()
