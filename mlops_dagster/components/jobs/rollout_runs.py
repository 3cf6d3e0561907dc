"""Configuration and requests of the runs that change the serving versions."""

import dagster as dg


class Promotion(dg.Config):
    """The configuration of a run that makes `version` champion: by a decision of the rollout, or by hand."""

    version: str
    reason: str
    decision: int = 0


class Rollback(dg.Config):
    """The configuration of a rollback: of the challenger as decided; by hand, to the previous champion or to `to`.

    By hand, `bad` names the champion to be replaced: a second run of the same configuration then changes nothing.
    """

    reason: str
    decision: int = 0
    to: str = ""
    bad: str = ""


def request(job: dg.JobDefinition, op: str, config: dg.Config, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, job_name=job.name, run_config=dg.RunConfig(ops={op: config}))
