"""Runs that change who serves: what they are told, and how they are asked for."""

import dagster as dg


class Promotion(dg.Config):
    """Make `version` champion: because a decision of the rollout says so, or by hand."""

    version: str
    reason: str
    decision: int = 0


class Rollback(dg.Config):
    """Take the challenger out as decided; by hand, go back to the champion before, or `to` a version.

    By hand, `bad` names the champion that is to go: a second run of the same then changes nothing.
    """

    reason: str
    decision: int = 0
    to: str = ""
    bad: str = ""


def request(job: dg.JobDefinition, op: str, config: dg.Config, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, job_name=job.name, run_config=dg.RunConfig(ops={op: config}))
