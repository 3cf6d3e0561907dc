"""The fleet's jobs and sensors, and its refused models, described for people."""

from collections.abc import Mapping
from typing import Final

SENSORS: Final[Mapping[str, str]] = {
    "limits": "Rolls a challenger of any model back as soon as the evidence proves it bad, and closes the rollout of "
    "one that the fuse has cut off. Does nothing else.",
    "rollouts": "Looks at the evidence of every model's rollout and acts: start, advance, hold, promote, roll back or "
    "give up. The model's asset `deployment` shows each step. Without a champion, the newest version that passes the "
    "gates is promoted.",
    "headline_floor": "Rolls a champion back when its daily report finds it under the floor of its headline measure, "
    "and the one before it proven better on the same labels. Otherwise the sensor `retraining` acts on the report.",
    "retraining": "Starts a model's job `retrain` on drift, on concept drift or under the floor (with its "
    "cool-down), or on the cadence; within its budget, never two of a model, and MLOPS_MAX_RETRAININGS of all models "
    "at a time. It only ever makes challengers.",
    "retraining_killed": "Opens the alert `retraining_failed` for a retraining run whose process was killed (out of "
    "memory, a machine that went away) or hung, or that failed without telling so itself. The daemon launches one that "
    "was killed again, as often as the model's `retries` say.",
    "champion_challenger": "Compares the two versions of each running rollout once a day, from the first labels on.",
    "models_without_definition": "Finds models that no definition names: their rollouts are held where they are, a "
    "challenger that is proven bad is still taken out, and the alert `no_definition` is open until a definition names "
    "them again.",
}
"""The description of each sensor of the fleet, by its name."""

JOBS: Final[Mapping[str, str]] = {
    "hourly_monitoring": "The rows that every model served in an hour, validated, and their drift. Ranges of hours are "
    "one run.",
    "daily_performance": "Accuracy, F1, latency and errors of every version of every model, by day. Ranges of days are "
    "one run.",
    "weekly_label_drift": "Chi-squared of a week's labels against the baseline, for every model. Ranges of weeks are "
    "one run.",
    "champion_challenger": "Score champion and challenger on the same labelled rows, for every model. It never touches "
    "traffic. Select one model's asset to compare only its versions.",
    "retrain": "Fit, evaluate and register a challenger. It never touches traffic.",
    "batch_scores": "Validate the rows of a day and, if they pass, score them.",
    "promote": "Make a version of a model champion. Refused if its card or its quality falls short.",
    "rollback": "Take a bad champion out of the traffic.",
    "retention": "Removes what is older than the retention policy of its model says and no decision rests on, and "
    "Dagster's own runs after MLOPS_RUN_DAYS. `mlops retention show` has what went.",
    "rollout_by_hand": "Pause, resume, advance or abort the running rollout of a model.",
}
"""The description of each job, by its name; a job of one model is there by the second part of its name."""

SCHEDULES: Final[Mapping[str, str]] = {
    job: f"Requests the reports that are missing{or_changed}, of the models that lack them: the newest in one run, "
    "then older."
    for job, or_changed in {
        "hourly_monitoring": "",
        "daily_performance": " or whose labels have changed since",
        "weekly_label_drift": "",
    }.items()
}
"""The description of each schedule, by the name of its job."""

OPS: Final[Mapping[str, str]] = {
    "old_records": "Removes old predictions, counts, reports, decisions, alerts, profiles and pages of every model.",
    "old_runs": "Deletes finished runs of Dagster that are older than MLOPS_RUN_DAYS, with their events and output.",
    "promotion": "Checks the gates, then changes the deployment by compare-and-set.",
    "withdrawal": "Makes the previous champion, or the version that is named, champion again.",
    "manual_action": "pause: never advances, still rolls back on proof. resume: goes on. advance: the next step at "
    "once, at the last one the promotion; gates hold. abort: the challenger goes, without being called bad.",
}
"""The description of the steps of jobs that are no assets, by their names."""

MEANWHILE: Final = (
    "; its definitions are not there until that is mended: the data plane serves as it did, and registry and rollouts "
    "stay as they are, but nothing advances, promotes, monitors or retrains. `dg check defs` says whether it is sound"
)
"""The consequences of a model that is refused, which follow the reason."""
