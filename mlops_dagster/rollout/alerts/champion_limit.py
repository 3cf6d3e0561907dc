"""Alerts of a champion that breaks its error limit: no challenger is taken out for failures that both share."""

from mlops_dagster.alerting import Alerts, Reading, Rule, Severity
from mlops_dagster.documents.texts import counted
from mlops_dagster.rollout.entities import Decision, Phase, TestResult
from mlops_dagster.statistics import wilson_interval

RULE = Rule.CHAMPION_ERROR_LIMIT


def tell_champion_limit(alerts: Alerts, model: str, decision: Decision | None) -> None:
    """Open an alert while the champion is proven over its error limit; resolve it once no evidence points to that.

    `decision` is the last look at the running rollout. Without a decision, and in the bake of a new champion, the
    champion's errors are not measured here.
    """
    if decision is None or decision.rollout.phase is Phase.WATCH:
        if any(alert.rule == RULE for alert in alerts.list(model)):
            alerts.resolve(model, RULE, "no rollout is running, so the champion's errors are not measured here")
        return
    test = decision.test("champion.over_limit")
    if test.e_value >= test.limit:
        alerts.report(
            model,
            RULE,
            Severity.CRITICAL,
            _summary(decision, test),
            version=decision.rollout.champion,
            reading=_reading(decision, test),
            since=decision.rollout.started_at,
            done=_done(decision),
            evidence=dict(test.observed),
        )
    elif test.e_value < 1 and any(alert.rule == RULE for alert in alerts.list(model)):
        alerts.resolve(model, RULE, "the champion is not over its error limit any more, in all and lately")


def _summary(decision: Decision, test: TestResult) -> str:
    rollout = decision.rollout
    failed, requests = (int(test.observed[name]) for name in ("champion_failed", "requests"))
    return (
        f"champion {rollout.champion} breaks its error limit of {rollout.policy.max_error_rate:.2%}: {failed:,} of "
        f"{counted(requests, 'requests')} since {rollout.started_at:%Y-%m-%d %H:%M} failed"
    )


def _reading(decision: Decision, test: TestResult) -> Reading:
    failed, requests = test.observed["champion_failed"], int(test.observed["requests"])
    low, high = wilson_interval(failed, requests)
    limit = 100 * decision.rollout.policy.max_error_rate
    return Reading(100 * failed / requests, 100 * low, 100 * high, requests, limit, "%", "requests")


def _done(decision: Decision) -> str:
    return f"nothing: challenger {decision.rollout.challenger} is not taken out for failures that both share"
