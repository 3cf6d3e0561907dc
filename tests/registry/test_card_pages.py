"""Cards as JSON, Markdown and HTML: nothing is lost, and no text is taken for markup."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import ValidationError

from mlops_dagster.documents.texts import printable
from mlops_dagster.registry import (
    Baseline,
    FairnessAudit,
    ModelCard,
    Provenance,
    Validation,
    audit_fairness,
    evaluate,
    to_html,
)
from mlops_dagster.registry.cards import Provable, ProvableDrift, ProvableFloor, ProvableLoss
from mlops_dagster.registry.cards.densities import density
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

NASTY = "$x$ <script>alert(1)</script> | a\\|b `c` *d* [e](f) --!> &lt; ]]> \" ' \x00 <img src=//evil>"
OF_AN_EARLIER_VERSION = (
    '{"provenance":{"dataset":"flights","digest":"ab12","start":"2013-03-01T00:00:00Z","end":"2013-03-01T00:00:00Z",'
    '"rows":10},"evaluation":[{"name":"overall","rows":10,"metrics":{"micro_f1":0.91,"macro_f1":0.87,"accuracy":0.91}}],'
    '"intended_use":"Tells the desk.","failure_modes":["storms"],"fairness":{"attribute":"carrier","groups":'
    '{"AA":{"rows":5.0,"accuracy":0.9}},"max_gap":0.02,"note":""},"contacts":["desk"]}'
)
WITHOUT_ANY_PART = (
    '{"provenance":null,"evaluation":[],"intended_use":"","failure_modes":[],"fairness":null,"contacts":[]}'
)

texts = st.text(max_size=30) | st.text("`*_[]<>&|\\#-+1.!~$ \n", max_size=12)
shares = st.floats(0, 1)
audits = st.builds(
    FairnessAudit,
    attribute=texts,
    groups=st.dictionaries(texts, st.dictionaries(texts, shares, max_size=2), max_size=2),
    max_gap=st.none() | shares,
    note=texts,
    positive=st.none() | texts,
    gaps=st.dictionaries(texts, shares, max_size=2),
    left_out=st.dictionaries(texts, st.lists(texts, max_size=2).map(tuple), max_size=2),
)
slices = st.builds(
    lambda name, pairs: evaluate(name, *zip(*pairs, strict=True)),
    texts,
    st.lists(st.tuples(texts, texts), min_size=1, max_size=6),
)
times = st.datetimes(timezones=st.just(UTC))
cards = st.builds(
    ModelCard,
    provenance=st.none()
    | st.builds(Provenance, dataset=texts, digest=texts, start=times, end=times, rows=st.integers(0, 2**53)),
    evaluation=st.lists(slices, max_size=2).map(tuple),
    intended_use=texts,
    failure_modes=st.lists(texts, max_size=2).map(tuple),
    fairness=st.lists(audits, max_size=2).map(tuple),
    contacts=st.lists(texts, max_size=2).map(tuple),
    shared_days=texts,
    validation=st.none()
    | st.builds(Validation, suite=texts, expectations=st.just(2), rows=st.just(9), passed=st.booleans()),
    provable=st.none() | texts.map(lambda text: _provable(text)),
)


@settings(max_examples=40)
@given(cards)
def test_a_card_comes_back_from_json_as_it_was(card: ModelCard) -> None:
    again = ModelCard.model_validate_json(card.model_dump_json())
    assert again == card
    assert again.to_markdown() == card.to_markdown()


def test_cards_of_an_earlier_version_are_read() -> None:
    card = ModelCard.model_validate_json(OF_AN_EARLIER_VERSION)
    assert card.missing() == ()
    assert [audit.max_gap for audit in card.fairness] == [0.02]
    assert card.validation is None
    assert "Widest gap in accuracy between groups of carrier: 0.0200." in card.to_markdown()
    assert "Tells the desk." in to_html(card)
    assert ModelCard.model_validate_json(WITHOUT_ANY_PART) == ModelCard()


@pytest.mark.parametrize(("failures", "rows", "expectations"), [(("x",), 9, 9), ((), 0, 9), ((), 9, 0)])
def test_nothing_passes_a_validation_without_evidence(failures: tuple[str, ...], rows: int, expectations: int) -> None:
    with pytest.raises(ValidationError, match="say passed=False"):
        Validation(suite="s", expectations=expectations, rows=rows, passed=True, failures=failures)


class _Page(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses |= {f"{name}={value}" for name, value in attrs if name in ("src", "href", "xlink:href", "style")}
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))


# fmt: off
OF_A_PAGE = {"html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "b", "dl", "div", "dt",
             "dd", "small", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
OF_A_PLOT = {"figure", "figcaption", "svg", "defs", "g", "path", "use", "text", "style", "clippath", "rect", "tspan"}
# fmt: on


@settings(max_examples=60)
@given(texts, texts)
@example(NASTY, "[a](b) ~~c~~ __d__ e_f_g ![h](i) **j** `k` &lt; \\")
@example("# no heading", "1. no list")
@example("- no list", "> no quote")
@example("---", "+ no list")
def test_any_text_is_shown_as_it_is(one: str, other: str) -> None:
    audit = FairnessAudit(attribute=one, groups={}, max_gap=0, note=other)
    card = ModelCard(intended_use=one, failure_modes=(other, one), fairness=(audit,), contacts=(one,), shared_days=one)
    shown = [text for text in (printable(one), printable(other)) if text]
    page = _Page(to_html(card, title=other))
    assert page.tags <= OF_A_PAGE
    assert all(text in page.texts for text in shown)

    markdown = MarkdownIt().enable(["table", "strikethrough"])
    lines = [token.children or [] for token in markdown.parse(card.to_markdown()) if token.type == "inline"]
    plain = {"text", "text_special", "em_open", "em_close"}  # "_absent_" is ours
    assert all(token.type in plain for line in lines for token in line)
    rendered = ["".join(token.content for token in line) for line in lines]
    assert all(rendered.count(text) >= 2 for text in shown)
    assert re.findall("<(h.)", markdown.render(card.to_markdown())) == ["h2"] * 7


def _provable(text: str) -> Provable:
    return Provable(
        lines=(text, "Concept drift: nothing."),
        drift=ProvableDrift(
            evaluated_days=5,
            rows_per_day=24.0,
            limit=0.6,
            losses=(ProvableLoss(name=text, wrong=0.4, days=None),),
            mute_slices=(text,),
        ),
        floor=ProvableFloor(floor=0.8, evaluated=0.9, days_to_rows=1, by_chance=0.0, days_to_tell=None),
    )


def _full(text: str) -> tuple[ModelCard, Baseline]:
    true, predicted, groups = [text, "ok"] * 60, [text, "ok", "ok", "ok"] * 30, [text, "b", "b"] * 40
    start = datetime(2013, 3, 1, tzinfo=UTC)
    card = ModelCard(
        provenance=Provenance(dataset=text, digest="ab12", start=start, end=start, rows=120),
        evaluation=(evaluate("overall", true, predicted), evaluate(text, true[:9], predicted[:9])),
        intended_use=text,
        failure_modes=(text,),
        fairness=(audit_fairness(true, predicted, groups, attribute=text, positive="ok"),),
        contacts=(text,),
        shared_days=text,
        validation=Validation(suite=text, expectations=3, rows=120, passed=False, failures=(text,)),
        provable=_provable(text),
    )
    numeric = Histogram.of(NumericBins((0.0, 1.0, 5.0)), [0.5, 3.0, 7.0, None])
    categories = Histogram.of(CategoricalBins((text, "b")), [text, "b", "c", None])
    return card, Baseline({text: numeric, "flat": Histogram.of(NumericBins(()), [1.0])}, numeric, categories)


def test_a_page_with_plots_needs_nothing_from_anywhere_and_runs_nothing() -> None:
    card, baseline = _full(NASTY)
    html = to_html(card, title=NASTY, baseline=baseline)
    page = _Page(html)
    assert page.tags <= OF_A_PAGE | OF_A_PLOT
    assert html.count("<svg") == 4
    assert all(
        re.search(r"=#|style=", address) and "url(" not in address.replace("url(#", "") for address in page.addresses
    )
    assert "http" not in html.replace("http-equiv", "")
    assert len(re.findall(r' id="([^"]+)"', html)) == len(set(re.findall(r' id="([^"]+)"', html)))
    assert page.texts.count(printable(NASTY)) >= 7
    assert "Concept drift: nothing." in page.texts
    assert any(text.startswith("$x$ <script>alert(1)</scrip…") for text in page.texts)  # in a plot


def test_the_same_card_is_the_same_page() -> None:
    card, baseline = _full("storms")
    first = to_html(card, title="flights 1.0.0", baseline=baseline)
    assert to_html(card.model_copy(), title="flights 1.0.0", baseline=baseline) == first
    assert to_html(card, title="flights 1.0.0") != first


def test_a_page_says_what_is_absent() -> None:
    page = _Page(to_html(ModelCard()))
    assert page.texts.count("absent") == 6
    assert "Not known: the card was not made by a retraining." in page.texts
    assert "incomplete: provenance, evaluation, intended_use, failure_modes, fairness" in page.texts


@given(st.lists(st.integers(-50, 50), min_size=2, unique=True).map(sorted), st.data())
def test_a_drawn_histogram_loses_no_row(edges: list[int], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 1000), min_size=len(edges) + 2, max_size=len(edges) + 2))
    drawn, heights = density(Histogram(NumericBins(tuple(map(float, edges))), counts))
    assert len(drawn) == len(heights) + 1
    assert heights.sum() == pytest.approx(sum(counts[1:]))
    assert (heights >= -1e-9).all()
