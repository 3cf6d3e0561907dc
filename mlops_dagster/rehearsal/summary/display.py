"""Display of a rehearsal: progress while it works, and a report at the end."""

import re
import sys
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlops_dagster.registry import Deployment
from mlops_dagster.rehearsal.plan import Plan
from mlops_dagster.rehearsal.summary.feed import on_call, row_of, still_open
from mlops_dagster.rehearsal.summary.summary import RollbackSummary, Summary
from mlops_dagster.tasks import Classification

ROUTINE_JOBS = ("hourly_monitoring", "performance", "label_drift")
"""The ends of the names of jobs that run every day or week."""

LAST = 20
"""The number of events of the feed that are shown; there are hundreds in ten weeks."""


class Display:
    """A progress bar over the simulated hours, with a line above it for each change of the deployment."""

    def __init__(self, plan: Plan) -> None:
        self._console = Console()
        self._time = plan.start
        self._deployed: tuple[object, ...] = ()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=2,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def phase(self, text: str) -> None:
        self._console.print(f"[bold]{text}[/bold]")

    def traffic(self, hours: int) -> None:
        """Begin the progress bar."""
        self._bar = self._progress.add_task("serving", total=hours)

    def hour(self, now: datetime, deployed: Deployment) -> None:
        self._time = now
        self._progress.update(self._bar, advance=1, description=f"{now:%a %d %b %H:00}  champion {deployed.champion}")
        serving = (deployed.champion, deployed.canary, deployed.canary_weight, deployed.shadows)
        if serving != self._deployed:
            self._deployed = serving
            self._line(_serving(deployed))

    def run(self, run: dg.DagsterRun) -> None:
        """Print a Dagster run that has ended, unless it was routine and successful."""
        if not run.job_name.endswith(ROUTINE_JOBS) or not run.is_success:
            state = "" if run.is_success else f" [red]{run.status.value.lower()}[/red]"
            self._line(f"[dim]run {run.run_id[:8]}[/dim] {run.job_name}{state}")

    def _line(self, text: str) -> None:
        self._console.print(f"[cyan]{self._time:%d %b %H:00}[/cyan]  {text}", highlight=False)

    def note(self, text: str) -> None:
        """Print a note on the history."""
        self._console.print(f"[yellow]note[/yellow] {escape(text)}", soft_wrap=True, highlight=False)

    def show(self, summary: Summary, home: Path, board: str, ui: str) -> None:
        """Print the report, the place of its figures, and the commands that open it in control room and Dagster UI."""
        tables = (_figures(summary), _versions(summary), _bad_releases(summary), _performance(summary), _feed(summary))
        for table in tables:
            if table.row_count:
                self._console.print(table)
        for rollback in summary.rollbacks:
            self._console.print(_rollback(rollback))
        for refusal in summary.refused:
            self._console.print(f"[bold]{refusal.version} was refused:[/bold] {escape(refusal.error)}", highlight=False)
        self._console.print(f"\nFigures: {home / 'summary.json'}", soft_wrap=True)
        self._console.print(f"Every alert: MLOPS_HOME={home} mlops alerts list --all", soft_wrap=True, highlight=False)
        self._console.print("The control room as it was at the end, and at any time before (http://127.0.0.1:8081):")
        self._console.print(f"  {board}", soft_wrap=True, highlight=False)
        self._console.print("Everything that was done, in the Dagster UI (http://127.0.0.1:3000):")
        self._console.print(f"  {ui}", soft_wrap=True, highlight=False)


def board_command(plan: Plan, home: Path) -> str:
    """Return the command of the control room as of the end of the traffic."""
    program = Path(sys.executable).parent / "mlops"
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return f"MLOPS_HOME={home} {program} board --at {plan.until:%Y-%m-%dT%H:%MZ}"


def ui_command(plan: Plan, project: Path, home: Path) -> str:
    """Return the command of Dagster's web server alone: a daemon would find schedules that are years overdue."""
    since, until = plan.reported
    days = f"MLOPS_PARTITIONS_START={since} MLOPS_PARTITIONS_END={until}"
    there = "" if project.resolve() == Path.cwd() else f"cd {project} && "
    program = Path(sys.executable).parent / "dagster-webserver"
    if program.is_relative_to(project.resolve()):
        program = program.relative_to(project.resolve())
    return f"{there}DAGSTER_HOME={home / 'dagster'} MLOPS_HOME={home} {days} {program} -w workspace.yaml"


def _serving(deployed: Deployment) -> str:
    parts = [f"champion [bold]{deployed.champion}[/bold]"]
    if deployed.canary is not None:
        parts.append(f"canary [yellow]{deployed.canary}[/yellow] {deployed.canary_weight:.0%}")
    parts += [f"shadow {version}" for version in deployed.shadows]
    return ", ".join(parts)


def _figures(summary: Summary) -> Table:
    table = Table(title=f"The life of {summary.model}", show_header=False)
    table.add_column(style="cyan")
    table.add_column()
    for name, value in figures(summary).items():
        table.add_row(name, value)
    return table


def figures(summary: Summary) -> dict[str, str]:
    """Return the numbers of a rehearsal by name, formatted for people."""
    return {
        "requests, answered, logged": f"{summary.requests:,} / {summary.answered:,} / {summary.logged:,}",
        "labelled, never": f"{summary.labelled:,} / {summary.never_labelled:,}",
        "promotions": ", ".join(f"{each.version} ({_day(each.at)})" for each in summary.promotions),
        "rollbacks": ", ".join(f"{each.version} ({_day(each.at)})" for each in summary.rollbacks) or "none",
        "retrainings": ", ".join(f"{each.version} ({each.trigger}, {_day(each.when)})" for each in summary.retrainings),
        "rollout decisions": _counts(summary.decisions),
        "pages, tickets, news": " / ".join(map(str, astuple(on_call(summary.alerts)))),
        "hours validated, quarantined": f"{summary.prediction_batches:,} / {summary.quarantined_batches:,}",
        "drift reports": f"{summary.drift_reports:,} ({_counts(summary.drift_verdicts)})",
        "label checks": f"{summary.label_checks:,}",
        "Dagster runs": f"{summary.dagster_runs:,} ({summary.failed_runs} failed)",
        "wall time": f"{summary.wall_seconds:.0f} s",
    }


def _bad_releases(summary: Summary) -> Table:
    title = "Bad releases of the rehearsal's making"
    table = Table(
        "version", "what is wrong with it", "would lose", "its own micro-F1", "what became of it", title=title
    )
    for each in summary.bad_releases:
        table.add_row(
            each.version or "-",
            escape(each.what),
            "-" if each.expected_loss is None else f"{each.expected_loss:.1%}",
            "-" if each.micro_f1 is None else f"{each.micro_f1:.4f}",
            escape(in_short(each.fate)),
        )
    return table


def _versions(summary: Summary) -> Table:
    table = Table("version", "stage", "micro-F1", "why", "digest", title="Versions")
    for each in summary.versions:
        score = "-" if each.micro_f1 is None else f"{each.micro_f1:.4f}"
        table.add_row(each.version, each.final_stage, score, escape(_without_arithmetic(each.why)), each.digest[:12])
    return table


def in_short(fate: str) -> str:
    """Return the fate of a release without the conditions it still lacked, which `summary.json` has.

    >>> in_short("given up: at the deadline 2026-04-04 09:15: got no further than shadow; 389 more requests")
    'given up: at the deadline 2026-04-04 09:15: got no further than shadow'
    """
    return _without_arithmetic(fate).split("; ")[0]


def _without_arithmetic(reason: str) -> str:
    """Return a reason without the tests it rests on, which `summary.json` has.

    >>> _without_arithmetic("fuse: proven worse: rollback.worse E 26.5 of 20, p 0.038 (paired.worse 103.9)")
    'fuse: proven worse'
    """
    return re.split(r": \w+\.\w+ E ", reason)[0]


def _performance(summary: Summary) -> Table:
    measured = Classification.headings.values()
    table = Table("version", "as", "answered", *measured, "errors", "P50 / P99 ms", title="In the traffic")
    for each in summary.performance:
        table.add_row(
            each.version,
            each.role,
            f"{each.requests:,}",
            *("-" if (found := each.value(name)) is None else f"{found:.4f}" for name in Classification.headings),
            f"{each.error_rate:.2%}",
            f"{each.p50_ms:.1f} / {each.p99_ms:.1f}",
        )
    return table


def _feed(summary: Summary) -> Table:
    title = f"What people would have been told: what is open, and the last {LAST} of {len(summary.alerts):,} events"
    table = Table("at (UTC)", "event", "rule", "what", title=title)
    shown = [*still_open(summary.alerts), None, *summary.alerts[-LAST:]]
    for line in shown:
        if line is None:
            table.add_section()
            continue
        at, event, rule, what = row_of(line)
        table.add_row(at, escape(event), escape(rule), escape(_without_arithmetic(what)))
    return table


def _rollback(each: RollbackSummary) -> str:
    proof = "-" if each.seconds_to_proof is None else f"{each.seconds_to_proof / 3600:.1f} h (simulated)"
    zero = "-" if each.seconds_to_zero_traffic is None else f"{each.seconds_to_zero_traffic:.2f} s (wall)"
    return (
        f"[bold]{each.version} was rolled back[/bold] at {each.canary_weight:.0%}, "
        f"by {each.by}: {escape(each.reason)}\n"
        f"  first bad evidence to proof {proof}, proof to zero traffic {zero}"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _day(time: str) -> str:
    return time[:10]
