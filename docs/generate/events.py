"""The reference of the history's events: every kind that the registry writes, with its meaning."""

from types import MappingProxyType
from typing import Final, get_args

from docs.generate.markdown import code, table
from mlops_dagster.registry import EventKind

MEANINGS: Final = MappingProxyType(
    {
        "registered": "A version was stored under its digest.",
        "card": "A model card was attached to a version.",
        "policies": "The policies of the model were published; the evidence has all of them, and the code location.",
        "approval_requested": "A person's approval of a version was asked for.",
        "approved": "A person approved a version.",
        "rejected": "A person refused a version.",
        "forced": "A version was promoted past gates that were closed; the evidence names them.",
        "transition": "A version changed its stage.",
        "weight": "The canary's share of the traffic changed.",
        "rollback": "A version was found bad and taken out; other versions that move with it have `transition`.",
        "paused": "A person, or the platform, paused a rollout.",
        "resumed": "A paused rollout went on.",
        "held": "The model was put on hold: no request is answered.",
        "released": "The hold was lifted.",
        "not_loaded": "The data plane could not load a version.",
    }
)


def page() -> str:
    """Return the table of kinds of events; raises KeyError for a kind without a meaning here."""
    return table(("event", "meaning"), [(code(kind), MEANINGS[kind]) for kind in get_args(EventKind)])
