"""`mlops drift`: the drift between any two versions or times."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.output import NONE, Cell, hint, print_json, right, say, table
from mlops_dagster.cli.running import open_stores

if TYPE_CHECKING:
    from mlops_dagster.monitoring.comparison.compare import Between
    from mlops_dagster.monitoring.comparison.counts import Counted

_SIDE = "VERSION, TIME, VERSION@TIME or VERSION@training"


def drift(
    model: Model,
    reference: Annotated[str, typer.Option(help=f"the reference side: {_SIDE}")],
    current: Annotated[str, typer.Option(help="the side to compare with it, in the same form")],
    rows: Annotated[
        bool, typer.Option("--rows", help="count the log's rows of the current side in the bins of the reference")
    ] = False,
    json: Json = False,
) -> None:
    """Compare any two versions or times of a model by their counts; no row is read.

    A VERSION is all rows that it has served and that are still counted; VERSION@TIME the rows it served then,
    VERSION@training its training set. A TIME is the rows that all versions served then, UTC: an hour (2013-03-01T10), a
    day (2013-03-01), or a range without its end (2013-03-01..2013-03-08). Limits are those of the model's policies in
    the registry, or the defaults; "chance" is the distance that two samples of one distribution may reach.

    Rows served under another schema were counted in other bins; --rows reads the log and counts them again.
    """
    from mlops_dagster.monitoring import DriftPolicy
    from mlops_dagster.monitoring.comparison.compare import between
    from mlops_dagster.monitoring.comparison.counts import count, recount
    from mlops_dagster.monitoring.comparison.selectors import EVER, parse_side
    from mlops_dagster.retention import Kind
    from mlops_dagster.retraining.signals import DriftSignal
    from mlops_dagster.retraining.weigh import weigh

    stores = open_stores()
    now = stores.clock.now()
    first, second = (parse_side(text, now) for text in (reference, current))
    for side in (first, second):
        if side.since > EVER:  # a version alone is all that is kept of it
            stores.retention.check_kept(Kind.HOUR_COUNTS, side.since, model)
    before = count(stores.registry, stores.rollups, model, first)
    if rows and not second.training:
        after = recount(stores.registry, stores.log, stores.rollups, model, second, before.counts)
    else:
        after = count(stores.registry, stores.rollups, model, second)
    published = stores.registry.policies(model)
    policy = published.section("drift", DriftPolicy)
    found = between(before, after, policy)
    asks = weigh(DriftSignal.of(found.features), {})
    if json:
        document = _document(model, found) | {"retraining": {"asks": asks.asks, "reason": asks.reason}}
        print_json({**document, "policy": {"from": published.origin, **policy.model_dump()}})
        return
    say(f"{model}: {_told(found.current)} against {_told(found.reference)}")
    table(("", right("distance"), right("chance"), "verdict", ""), _rows(found))
    hint(f"PSI {policy.monitor:g} and {policy.retrain:g}, D {policy.ks:g}: {published.origin}")
    say(f"{asks.sentence} Labels are not looked at here.")
    for name, reason in sorted(found.left_out.items()):
        hint(f"{name} is left out: {reason}")


def _told(counted: "Counted") -> str:
    return f"{counted.side.text} ({counted.rows:,} rows)"


def _rows(found: "Between") -> Iterator[tuple[Cell, ...]]:
    for each in sorted(found.features.features, key=lambda each: -(each.psi or 0)):
        remarks = "; ".join(filter(None, ["report_only" if each.report_only else "", each.reason]))
        yield each.name, f"PSI {_number(each.psi)}", _number(each.noise), _verdict(each.verdict.value), remarks
    score = found.features.score
    remarks = "; ".join(filter(None, [f"PSI {_number(score.psi)}", score.reason]))
    distance = f"D {_number(score.ks and score.ks.statistic)}"
    yield "(score)", distance, _number(score.noise), _verdict(score.verdict.value), remarks
    labels = found.labels
    pvalue = "" if labels.test is None else f"chi-squared p {labels.test.pvalue:.2g}"
    remarks = "; ".join(filter(None, [pvalue, labels.reason]))
    yield "(label)", f"PSI {_number(labels.psi)}", NONE, _verdict(labels.verdict.value), remarks


def _verdict(text: str) -> Text:
    return Text(text, style={"retrain": "red", "monitor": "yellow"}.get(text, ""))


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _document(model: str, found: "Between") -> dict[str, object]:
    return {
        "model": model,
        "reference": _side(found.reference),
        "current": _side(found.current),
        "features": found.features.metadata(),
        "labels": found.labels.metadata(),
        "left_out": found.left_out,
    }


def _side(counted: "Counted") -> dict[str, object]:
    side = counted.side
    times = {} if side.training else {"since": side.since, "until": side.until}
    return {"side": side.text, "version": side.version, "rows": counted.rows, **times}
