"""A model card as one self-contained HTML page, to be read, printed and sent."""

import functools
from typing import TYPE_CHECKING

from mlops_dagster.documents.texts import printable
from mlops_dagster.extras import require
from mlops_dagster.registry.cards import wording
from mlops_dagster.registry.cards.card import ModelCard
from mlops_dagster.registry.entities.baseline import Baseline

if TYPE_CHECKING:
    from jinja2 import Template


def to_html(
    card: ModelCard, *, title: str = "Model card", baseline: Baseline | None = None, run: str | None = None
) -> str:
    """Return the page, with plots; absent parts are marked. Equal arguments give equal bytes.

    `title` is the subject, such as "flights-delay 1.4.0"; `baseline` adds plots of the training data, and `run` a link
    to the page of the run that trained the version.
    All texts are escaped; the page has no script, and its policy forbids all scripts. Raises MissingExtraError.
    """
    require("cards", "a model card as HTML")
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
        finalize=lambda shown: printable(shown) if type(shown) is str else shown,  # markup is left as it is
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.html.jinja")
