"""The dashboards as the JSON that Grafana imports, made by its own library."""

import json
from typing import TYPE_CHECKING, Final

from mlops_dagster.extras import missing
from mlops_dagster.links.grafana import uid_of
from mlops_dagster.serving.telemetry.grafana.drift import DRIFT
from mlops_dagster.serving.telemetry.grafana.fleet import FLEET
from mlops_dagster.serving.telemetry.grafana.model import MODEL
from mlops_dagster.serving.telemetry.grafana.panel import Dashboard, Panel
from mlops_dagster.serving.telemetry.grafana.plane import PLANE
from mlops_dagster.serving.telemetry.grafana.rollout import ROLLOUT

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.builders import heatmap, stat, timeseries
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.models.common import DataSourceRef

DASHBOARDS: Final = (FLEET, MODEL, ROLLOUT, DRIFT, PLANE)

_TAG: Final = "mlops_dagster"
_HEIGHT: Final = 8
_BOARD: Final = "http://localhost:8081"


def all_dashboards() -> dict[str, str]:
    """Return the JSON of each dashboard by its name. Raises MissingExtraError."""
    try:
        import grafana_foundation_sdk  # noqa: F401  # asked for here, and used below
    except ModuleNotFoundError as error:
        raise missing("dev", "grafana_foundation_sdk", "making dashboards") from error
    return {each.name: _json(each) for each in DASHBOARDS}


def _json(made: Dashboard) -> str:
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import DashboardLinkType

    found = (
        builders.Dashboard(made.title)
        .uid(uid_of(made.name))
        .description(made.description)
        .tags([_TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .link(builders.DashboardLink("Control room").type(DashboardLinkType.LINK).url("${board}").target_blank(True))
        .link(
            builders.DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(builders.TextBoxVariable("board").label("Control room").default_value(_BOARD))
    )
    for name in made.variables:
        found = found.with_variable(_variable(name))
    for panel in made.panels:
        found = found.with_panel(_panel(panel))
    return json.dumps(found.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _source() -> "DataSourceRef":
    from grafana_foundation_sdk.models.common import DataSourceRef

    return DataSourceRef(type_val="prometheus", uid="${datasource}")


def _variable(name: str) -> "builders.QueryVariable":
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.models.dashboard import VariableRefresh, VariableSort

    of = "mlops_deployment_epoch" if name == "model" else 'mlops_requests_total{model="$model", version!=""}'
    found = (
        builders.QueryVariable(name)
        .datasource(_source())
        .query(f"label_values({of}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    return found if name == "model" else found.multi(True).include_all(True).all_value(".+")


def _panel(panel: Panel) -> "heatmap.Panel | stat.Panel | timeseries.Panel":
    from grafana_foundation_sdk.builders import heatmap, stat, timeseries

    kinds: dict[str, type[heatmap.Panel | stat.Panel | timeseries.Panel]] = {
        "heatmap": heatmap.Panel,
        "number": stat.Panel,
        "lines": timeseries.Panel,
    }
    found = (
        kinds[panel.kind]()
        .title(panel.title)
        .description(panel.description)
        .datasource(_source())
        .unit(panel.unit)
        .span(panel.width)
        .height(_HEIGHT)
    )
    if panel.limits and isinstance(found, timeseries.Panel):
        found = _with_limits(found, panel.limits)
    for number, query in enumerate(panel.queries):
        found = found.with_target(_query(query.expr, query.legend, chr(ord("A") + number), panel.kind))
    return found


def _with_limits(found: "timeseries.Panel", limits: tuple[float, ...]) -> "timeseries.Panel":
    from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
    from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
    from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode
    from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

    colours = zip((None, *limits), ("transparent", "orange", "red"), strict=False)
    steps = [Threshold(value=limit, color=colour) for limit, colour in colours]
    return found.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)).thresholds_style(
        GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    )


def _query(expr: str, legend: str, name: str, kind: str) -> "Dataquery":
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

    found = Dataquery().expr(expr).legend_format(legend).ref_id(name)
    if kind == "number":
        return found.instant()
    found = found.range()
    return found.format(PromQueryFormat.HEATMAP) if kind == "heatmap" else found
