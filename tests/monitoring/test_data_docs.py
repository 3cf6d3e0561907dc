"""Data docs: the page of a validation shows what its suite names, and obeys none of it."""

import html
from html import escape

import numpy as np
import pytest

from mlops_dagster.monitoring import make_baseline, suite_for, validate
from mlops_dagster.monitoring.pages.data_docs import draw
from tests.monitoring.test_validation import SCHEMA, flights

pytestmark = pytest.mark.slow

ATTACK = "</td></script><script>alert('owned')</script>"


def test_what_training_data_hold_is_shown_and_not_obeyed_however_often_it_is_drawn() -> None:
    """Among the categories of the suite, and in the figure of a distribution."""
    rows = flights(3000, seed=0)
    rows.loc[rows.index % 3 == 0, "origin"] = ATTACK
    baseline = make_baseline(rows, SCHEMA, scores=np.full(3000, 0.5), labels=["late"] * 3000)
    sent = flights(937, seed=1).assign(origin=f"{ATTACK} $1", temp=1.0)
    for batch in (sent, sent.assign(temp=ATTACK)):
        found = validate(batch, suite_for(SCHEMA, baseline), "day").found
        assert found is not None
        once, again = draw(found, "flights/day"), draw(found, "flights/day")
        assert ATTACK not in once
        assert "<script>alert" not in once
        assert escape(ATTACK) in once
        assert f"{ATTACK} $1" not in html.unescape(once)
        assert "&amp;lt;" not in again


def test_a_page_needs_neither_a_site_nor_a_network_to_tell_what_failed() -> None:
    batch = flights(37, seed=1).assign(delay=1e9)
    found = validate(
        batch, suite_for(SCHEMA, make_baseline(flights(500, seed=0), SCHEMA, scores=[0.5], labels=["late"]))
    )
    assert found.found is not None
    page = draw(found.found, "flights/hour")
    source = draw(found.found, "flights/hour", "https://dagster.example.com/assets/flights/prediction_batch")
    assert '<a href="https://dagster.example.com/assets/flights/prediction_batch">This batch in Dagster</a>' in source
    assert 'href="..' not in page.partition("<body")[2]
    first_word, font = page.index('.fa-times:before { content: "failed"'), page.index("font-awesome")
    assert first_word < font  # of two that say it, the later one holds
