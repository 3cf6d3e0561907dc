from datetime import timedelta

import pytest
from pydantic import ValidationError

from mlops_dagster.rollout import RolloutPolicy


def test_the_defaults_are_the_promises() -> None:
    policy = RolloutPolicy()
    assert policy.steps == (0.01, 0.05, 0.2, 0.5)
    assert (policy.soak_hours, policy.min_canary_hours, policy.deadline_hours) == (4, 48, 168)
    assert policy.at_deadline == "promote_if_not_worse"
    assert policy.bake_hours == 24
    assert (policy.alpha, policy.margin, policy.max_error_rate) == (0.05, 0.02, 0.01)
    assert policy.cold_start == 50
    assert (policy.max_ratio.error, policy.max_ratio.wrong, policy.max_ratio.slow) == (1.2, 1.2, 2.0)


@pytest.mark.parametrize(
    ("contradiction", "reason"),
    [
        ({"steps": [0.5, 0.1]}, "steps must rise, got 0.5 before 0.1"),
        ({"steps": [0.1, 0.1]}, "steps must rise, got 0.1 before 0.1"),
        ({"steps": [0.1, 1.0]}, "less than 1"),
        ({"steps": []}, "at least 1 item"),
        ({"paired_share": 0}, "paired evidence needs paired_share over 0"),
        ({"min_canary_hours": 36}, "whole days"),
        ({"soak_hours": 48, "shadow_hours": 1}, "193 hours at least, after the deadline of 168"),
        ({"min_canary_hours": 168}, "169 hours at least"),
        ({"bake_hours": -1}, "greater than or equal to 0"),
        ({"bake_hours": float("inf")}, "finite number"),
        ({"deadline_hours": 168 * 3600}, "less than or equal to 8784"),
        ({"deadline_hours": 0, "shadow_hours": 0, "soak_hours": 0, "min_canary_hours": 0}, "greater than 0"),
        ({"cold_start": -1}, "greater than or equal to 0"),
        ({"max_ratio": {"error": 0.9}}, "greater than 1"),
        ({"alpha": 0}, "greater than 0"),
        ({"at_deadline": "promote"}, "'promote_if_not_worse' or 'give_up'"),
        ({"aplha": 0.1}, "Extra inputs"),
        ({"labels": "late"}, "label_hours says how late labels come"),
        ({"label_hours": 5}, "got labels: all and label_hours: 5"),
        ({"labels": "complaints", "paired": False, "label_hours": 5}, "got labels: complaints and label_hours: 5"),
        ({"labels": "late", "label_hours": 0}, "greater than 0"),
        ({"labels": "late", "label_hours": 200}, "the deadline of 168 hours comes first"),
        ({"labels": "late", "label_hours": 42}, "each of 4 steps .* 42 hours late they take 169 hours"),
        ({"labels": "some"}, "'all', 'late', 'sampled' or 'complaints'"),
        ({"labels": "complaints"}, "the errors of the other version stay unknown"),
        ({"loss": "balanced", "paired": False}, "compared on requests that both versions scored"),
        ({"loss": "balanced", "answer_influences_label": True}, "that do not influence the label"),
        ({"min_label_share": 0.5}, "greater than 0.5"),
        ({"min_label_share": 1.01}, "less than or equal to 1"),
        ({"rows_per_observation": 0.9}, "greater than or equal to 1"),
        ({"rows_per_observation": float("inf")}, "finite number"),
    ],
)
def test_a_contradiction_is_refused_with_its_reason(contradiction: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        RolloutPolicy.model_validate(contradiction)


def test_part_of_theta_leaves_the_rest_as_it_was() -> None:
    policy = RolloutPolicy.model_validate({"max_ratio": {"slow": 3}})
    assert (policy.max_ratio.error, policy.max_ratio.slow) == (1.2, 3)


def test_pairs_are_not_used_where_the_answer_changes_the_label() -> None:
    assert RolloutPolicy().uses_pairs
    assert not RolloutPolicy(answer_influences_label=True).uses_pairs


def test_labels_that_come_late_may_take_what_the_steps_leave() -> None:
    assert RolloutPolicy(labels="late", label_hours=41).label_delay == timedelta(hours=41)
    assert RolloutPolicy(labels="late", label_hours=150, steps=(0.5,)).label_delay == timedelta(hours=150)
    assert RolloutPolicy(labels="complaints", paired=False).label_delay == timedelta(0)
    assert RolloutPolicy(loss="balanced").uses_pairs


@pytest.mark.parametrize(
    ("policy", "classes", "compares"),
    [
        ({}, {}, False),
        ({}, {"a": 0.5, "b": 0.5}, False),
        ({}, {"a": 0.9, "b": 0.1}, False),
        ({}, {"a": 0.91, "b": 0.09}, True),
        ({}, {"a": 1.0, "b": 0.0}, False),
        ({"margin": 0.01}, {"a": 0.91, "b": 0.09}, False),
        ({"loss": "accuracy"}, {"a": 0.99, "b": 0.01}, False),
        ({"loss": "balanced"}, {}, True),
    ],
)
def test_the_loss_is_balanced_where_a_class_is_rarer_than_five_margins(
    policy: dict[str, object], classes: dict[str, float], compares: bool
) -> None:
    assert RolloutPolicy.model_validate(policy).compares_strata(classes) == compares
