"""Days of performance, and weeks of labels."""

from datetime import datetime, timedelta

from mlops_dagster.loop.judging.findings import DayOfPerformance
from mlops_dagster.loop.judging.judge_days import JudgedDays
from mlops_dagster.loop.shown.entries import Cell, Entries, Table, for_programs
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import LabelDriftReport
from mlops_dagster.predictions import LabelDebt


def day_entries(day: DayOfPerformance) -> Entries:
    """Return the tables and numbers of a day, and the performance expected from the champion's scores."""
    estimate = day.estimate
    return {
        "versions_table": Table(day.performance.table()),
        "slices_table": Table(day.performance.slice_table()),
        **day.performance.metadata(),
        "labels_counted": day.labels,
        **({} if estimate is None else {"estimate": estimate.in_words, **for_programs(estimate.metadata())}),
    }


def maturity_entries(spec: ModelSpec, judged: JudgedDays) -> Entries:
    """Return the champion's days that are judged, and the labels that the other days lack."""
    return {
        "judged_until": judged.matured[-1].isoformat() if judged.matured else "none yet",
        "judged_days": len(judged.matured),
        "unjudged_days": judged.days_of_champion - len(judged.matured),
        **for_programs({"labels_needed": f"{spec.rollout.min_label_share:.0%} of a day"}),
    }


def label_debt_entries(debt: LabelDebt, until: datetime) -> Entries:
    """Return how many answers still await their label, and for how long."""
    ages = {"oldest": debt.oldest_at, "median": debt.median_at}
    return {
        "label_debt": debt.awaiting,
        "label_debt_answers": debt.answers,
        **{
            f"label_debt_{name}_hours": (until - at) / timedelta(hours=1) for name, at in ages.items() if at is not None
        },
    }


def label_drift_entries(report: LabelDriftReport) -> Entries:
    """Return the drift of a week's labels, with the classes whose share moved most at the top."""
    rows = sorted(report.shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    classes: list[dict[str, Cell]] = [
        {"class": label, "share in the baseline": then, "share now": now} for label, (then, now) in rows
    ]
    return {**report.metadata(), "classes": Table(classes)}
