"""A card as one HTML page, to be read, printed and sent: it needs nothing from anywhere."""

import functools
from typing import TYPE_CHECKING

from mlops_dagster.registry.cards import wording
from mlops_dagster.registry.cards.card import ModelCard
from mlops_dagster.registry.entities.baseline import Baseline

if TYPE_CHECKING:
    from jinja2 import Template


def to_html(
    card: ModelCard, *, title: str = "Model card", baseline: Baseline | None = None, run: str | None = None
) -> str:
    """The page, with plots; absent parts say so. Equal arguments give equal bytes.

    `title` is what it is about, such as "flights-delay 1.4.0"; `baseline` adds what the training data looked like, and
    `run` a link to the page of the run that trained it.
    Whatever the texts hold is shown, not obeyed: it has no script, and the page forbids them all.
    """
    from mlops_dagster.registry.cards import plots

    return _template().render(
        card=card, title=title, baseline=baseline, run=run, missing=card.missing(), wording=wording, plots=plots
    )


@functools.cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlops_dagster.registry.cards", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda shown: wording.printable(shown) if type(shown) is str else shown,  # not what is markup already
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.html.jinja")
