"""The fixed table of inhibitions, row by row, and what must not be inhibited."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.alerting import FLEET, Alert, Rule, Severity, alert_key
from mlops_dagster.alerting.life.inhibition import inhibitor_name, inhibitors
from mlops_dagster.alerting.life.mutes import muted_by

NOW = datetime(2026, 1, 1, tzinfo=UTC)
W, C = Severity.WARNING, Severity.CRITICAL


def alert(
    rule: Rule,
    severity: Severity = W,
    *,
    model: str = "churn",
    subject: str = "",
    version: str | None = None,
    number: int = 1,
) -> Alert:
    return Alert(
        number,
        "key",
        model,
        rule,
        subject,
        version,
        severity,
        "",
        None,
        None,
        "",
        None,
        {},
        NOW,
        NOW,
        1,
        0,
        None,
        None,
        True,
        None,
        "",
    )


# The table of the design, written out: who mutes whom.
MUTED = [
    *[(alert(Rule.HELD), alert(rule)) for rule in (Rule.NO_TRAFFIC, Rule.ERROR_RATE, Rule.P99_MS, Rule.ACCURACY)],
    *[(alert(Rule.VALIDATION, C), alert(rule)) for rule in (Rule.PSI, Rule.KS, Rule.NULL_RATE, Rule.LABEL_DRIFT)],
    *[
        (alert(Rule.ROLLED_BACK, C, subject="2.4.1"), alert(rule, version="2.4.1"))
        for rule in (Rule.ACCURACY, Rule.ERROR_RATE, Rule.P99_MS, Rule.HEADLINE)
    ],
    (alert(Rule.NOT_LOADED, C), alert(Rule.NO_TRAFFIC)),
    *[
        (alert(Rule.VERSION_REFUSED, C, subject="2.4.1"), alert(rule, C, subject="2.4.1", version="2.4.1"))
        for rule in (Rule.NOT_LOADED, Rule.ROLLED_BACK)
    ],
    (alert(Rule.HEADLINE, C), alert(Rule.ACCURACY, C)),
    (alert(Rule.HEADLINE, C), alert(Rule.CONCEPT_DRIFT, W)),
    *[(alert(Rule.WATCHER_SILENT, C, model=FLEET), alert(rule)) for rule in (Rule.NO_DATA, Rule.REPORT_LATE)],
    (alert(Rule.PSI, model=FLEET), alert(Rule.PSI)),
]
TOLD = [
    (alert(Rule.HELD, model="fraud"), alert(Rule.NO_TRAFFIC)),
    (alert(Rule.ROLLED_BACK, C, subject="2.4.1"), alert(Rule.ACCURACY, version="2.4.0")),
    (alert(Rule.ROLLED_BACK, C, subject="2.4.1"), alert(Rule.ACCURACY)),
    (alert(Rule.HEADLINE, W), alert(Rule.ACCURACY, C)),
    (alert(Rule.HEADLINE, C), alert(Rule.CONCEPT_DRIFT, C)),
    (alert(Rule.PSI), alert(Rule.PSI, model=FLEET)),
    (alert(Rule.HELD, model=FLEET), alert(Rule.NO_TRAFFIC)),
    (alert(Rule.PSI, model=FLEET), alert(Rule.KS)),
]


@pytest.mark.parametrize(("cause", "effect"), MUTED)
def test_a_cause_mutes_its_effect(cause: Alert, effect: Alert) -> None:
    effect = replace(effect, id=2)
    assert muted_by(effect, [cause, effect], []) == inhibitor_name(cause)
    assert muted_by(cause, [cause, effect], []) is None


@pytest.mark.parametrize(("other", "told"), TOLD)
def test_what_is_no_effect_is_told(other: Alert, told: Alert) -> None:
    assert muted_by(replace(told, id=2), [other, replace(told, id=2)], []) is None


def test_the_first_cause_is_named_and_stays_named() -> None:
    first, second = alert(Rule.HEADLINE, C, number=3), alert(Rule.HELD, number=4)
    effect = alert(Rule.ACCURACY, number=5)
    assert muted_by(effect, [second, effect, first], []) == "headline"
    assert muted_by(replace(effect, muted_by="held"), [second, effect, first], []) == "held"


@given(
    st.lists(
        st.builds(
            alert,
            st.sampled_from(Rule),
            st.sampled_from(Severity),
            model=st.sampled_from(["churn", "fraud", FLEET]),
            subject=st.sampled_from(["", "1.0.0"]),
            version=st.sampled_from([None, "1.0.0"]),
        ),
        max_size=12,
    )
)
def test_something_is_always_told(drawn: list[Alert]) -> None:
    """Alerts never mute each other in a circle: of any open alerts at least one is told."""
    alerts = [replace(each, id=number) for number, each in enumerate(drawn)]
    assert not alerts or any(not inhibitors(each, alerts) for each in alerts)


@given(st.text("abc:", max_size=300), st.text("xyz", max_size=100))
def test_a_long_key_is_cut_and_stays_its_own(subject: str, model: str) -> None:
    key = alert_key("staging", model, "psi", subject)
    assert len(key) <= 255
    assert key != alert_key("staging", model, "psi", f"{subject}d")
