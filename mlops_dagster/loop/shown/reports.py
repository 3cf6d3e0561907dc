"""The reports as tables and numbers: validated hours, drift of hours, days of performance, weeks of labels."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.judging.findings import NO_CHAMPION, DayOfPerformance, HourOfDrift, outcome_of
from mlops_dagster.loop.judging.judge_days import JudgedDays
from mlops_dagster.loop.judging.judge_hours import ValidatedHours
from mlops_dagster.loop.shown.entries import Cell, Entries, Table, for_programs
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import DriftReport, LabelDriftReport, ValidationResult, Verdict
from mlops_dagster.predictions import LabelDebt
from mlops_dagster.registry import Validation
from mlops_dagster.reports import Report

MOST_PLOTS = 12
"""Each feature has a plot if the model has at most this many features; else only the worst PSI has."""


def span(keys: Sequence[str]) -> str:
    """Return the first and the last of some partitions.

    >>> span(["2013-03-01-05:00"]), span(["2013-03-01-05:00", "2013-03-01-06:00"])
    ('2013-03-01-05:00', '2013-03-01-05:00 to 2013-03-01-06:00')
    """
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def validation_entries(found: ValidationResult) -> Entries:
    """Return the verdict, its reason, tables of all that was found, and the number of rows."""
    return {"validation": found.verdict, "reason": outcome_of(found), **found_in(found)}


def found_in(found: ValidationResult | Validation) -> Entries:
    """Return a table of the failures, of the doubts and of the errors, where there are some, and the number of rows."""
    lists = {"failures": found.failures, "doubts": found.doubts, "errors": found.errors}
    tables = {name: Table.of(name, told) for name, told in lists.items() if told}
    return {**tables, "rows": found.rows}


def validation_summary(validated: ValidatedHours, hours: Sequence[str]) -> str:
    """Return the newest hour that did not pass, its failures and the action taken; or that all hours passed."""
    found = validated.results
    bad = sorted(hour for hour, result in found.items() if result.failures or result.errors)
    if not bad:
        if len(hours) == 1:
            return f"{hours[0]}: {''.join(map(outcome_of, found.values())) or 'no rows'}"
        return f"{span(hours)}: {len(found)} of {counted(len(hours), 'hours')} had rows, and all of them passed"
    last = found[bad[-1]]
    rows = sum(found[hour].rows for hour in bad if found[hour].failures)
    place = f"{counted(rows, 'rows')} quarantined at {validated.quarantine}" if rows else "nothing was set aside"
    return (
        f"{span(hours)}: {len(bad)} of {counted(len(hours), 'hours')} did not pass, "
        f"the last of {bad[-1]:%Y-%m-%d %H:%M} UTC: "
        f"{outcome_of(last)}; {'; '.join(filter(None, [place, validated.action]))}"
    )


def drift_entries(hour: Report[HourOfDrift]) -> Entries:
    """Return the entries of an hour: first those that people look for."""
    report, weighed = hour.content.drift, hour.content.retraining
    if report is None or weighed is None:
        return {**NO_CHAMPION}
    return {
        **for_programs(report.metadata()),
        "verdict": hour.verdict,
        "reason": hour.reason,
        "features": Table(report.table()),
        "champion": hour.champion,
        "retraining": weighed.reason,
        **_plots(report),
        "asks_for_retraining": weighed.asks,
        "failed_hours": [f"{failed:%Y-%m-%dT%H:%MZ}" for failed in hour.content.failed_hours],
    }


def _plots(report: DriftReport) -> dict[str, float]:
    """Return a number for each feature, which Dagster plots over the hours; none if there are many features."""
    if len(report.features) > MOST_PLOTS:
        return {}
    return {f"psi {each.name}": round(each.psi, 4) for each in report.features if each.psi is not None}


def is_over(hour: HourOfDrift) -> bool:
    """Return whether an hour is beyond the limits; windows with failed hours are not."""
    report = hour.drift
    return report is not None and not hour.failed_hours and (report.verdict is Verdict.RETRAIN or report.score.elevated)


def drift_summary(hours: Sequence[str], found: Sequence[Report[HourOfDrift]]) -> str:
    """Return the last hour beyond the limits and the retraining it asks for; or that none is beyond them."""
    over = [(key, hour) for key, hour in zip(hours, found, strict=True) if is_over(hour.content)]
    judged = [hour.content.drift for hour in found if hour.content.drift is not None]
    if not judged:
        return f"{span(hours)}: no champion with a baseline to be held against"
    alone = len(hours) == 1
    if not over:
        which = "not beyond the limits" if alone else f"no hour of {len(judged)} beyond the limits; the last one"
        return f"{span(hours)}: {which}: {judged[-1].why}"
    key, last = over[-1]
    which = (
        "beyond the limits"
        if alone
        else f"{len(over)} of {counted(len(judged), 'hours')} beyond the limits, last {key}"
    )
    weighed = last.content.retraining
    return f"{span(hours)}: {which}: {last.reason}; retraining: {'' if weighed is None else weighed.reason}"


def drift_in_short(hours: Sequence[HourOfDrift]) -> Entries:
    """Summarize the hours of a run: verdicts, features that drifted in sound windows, numbers of the last hour."""
    judged = [hour.drift for hour in hours if hour.drift is not None]
    sound = [hour.drift for hour in hours if hour.drift is not None and not hour.failed_hours]
    verdicts = {verdict.value: sum(report.verdict is verdict for report in judged) for verdict in Verdict}
    return {
        **({"features": Table(judged[-1].table())} if judged else {}),
        "hours": Table([{**verdicts, "scores elevated": sum(report.score.elevated for report in sound)}]),
        "drifted": ", ".join(sorted({name for report in sound for name in report.drifted})) or "none",
        **(judged[-1].headline() if judged else {}),
    }


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
