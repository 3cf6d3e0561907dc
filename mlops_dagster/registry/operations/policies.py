"""The policies of models: published as a whole, kept with their history, and read by every room as its own section."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection

from mlops_dagster.database import looking
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import fields_of, reading_row
from mlops_dagster.errors import InvalidPolicyError, NotFoundError, UnreadableError
from mlops_dagster.names import check_model_name
from mlops_dagster.registry.entities.entities import Event
from mlops_dagster.registry.entities.gate_policy import GatePolicy
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy
from mlops_dagster.registry.entities.policies import ModelPolicies, check_publisher, differences, publisher
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql


class Policies(Session):
    """Publication and history of policies. A publication is an event, so no policy in force can be changed unseen."""

    def policies(self, model: str, *, as_of: datetime | None = None) -> ModelPolicies:
        """Return the policies in force, now or as of a time by the registry's clock; the defaults if there were none.

        Raises UnreadableError.
        """
        with looking(self._engine) as connection:
            return policies_in_force(connection, model, as_of)

    def publish_policies(
        self, model: str, policies: Mapping[str, object], *, location: str | None = None, reason: str = ""
    ) -> None:
        """Replace all policies of the model, which needs no version yet; no-op if they are equal.

        The registry itself reads two sections: the gates of versions (`gates`, a GatePolicy) and the guard of requests
        (`guard`, a GuardPolicy). It keeps the others as they are, for the rooms that they are about.

        Args:
            model: the name of the model.
            policies: a pydantic model or JSON by section; a section that is left out has its defaults.
            location: the name of the code location that defines the model; None outside of one.
            reason: by default, the names of the sections that differ.

        Raises PolicyConflictError if another code location published different ones, InvalidPolicyError if gates or
        guard cannot be read, InvalidNameError, InvalidInputError for a value that JSON cannot hold, and EventTimeError.
        """
        check_model_name(model)
        sections = _as_json(policies)
        guard = _own_sections(sections)
        with suppress(UnreadableError):  # the new policies replace stored ones that cannot be read
            if self.policies(model).sections == sections:
                return
        with self._changing(model, reason) as ledger:
            before = ModelPolicies(model, {})
            with suppress(UnreadableError):
                before = policies_in_force(ledger.connection, model)
            changed = differences(before.sections, sections)
            if not changed:
                return
            check_publisher(before, sections, location)
            told = ledger.reason or f"{publisher(location)}: {', '.join(changed)}"
            ledger.publish_policies({"location": location, "policies": sections}, guard, told)

    def hand_over_policies(self, model: str, *, to: str, reason: str) -> None:
        """Let the code location `to` publish the model's policies; those in force stay until it does.

        Raises NotFoundError if no policies of the model were published, and UnreadableError.
        """
        with self._changing(model, reason) as ledger:
            before = policies_in_force(ledger.connection, model)
            if not before.event:
                raise NotFoundError(
                    f"no policies of {model!r} were published, so any code location may publish them; run {to!r}"
                )
            if before.location == to:
                return
            guard = _own_sections(before.sections)
            ledger.publish_policies({"location": to, "policies": before.sections}, guard, ledger.reason)


def policies_in_force(connection: Connection, model: str, as_of: datetime | None = None) -> ModelPolicies:
    """Return the policies in force, now or as of a time; raises UnreadableError."""
    event = sql.last_policies(connection, model, as_of)
    return ModelPolicies(model, {}) if event is None else policies_of_event(event)


def policies_of_event(event: Event) -> ModelPolicies:
    """Return the policies that an event published; raises UnreadableError."""
    with reading_row(f"the policies of {event.model} (event {event.id})", "restore a backup of the database"):
        sections, location = event.evidence["policies"], event.evidence["location"]
        if not isinstance(sections, dict) or not isinstance(location, str | None):
            raise TypeError("no sections by name, or no name of a code location")
        return ModelPolicies(event.model, sections, location, event.at, event.id)


def _as_json(policies: Mapping[str, object]) -> dict[str, object]:
    """Return the policies as JSON gives them back, to be compared with stored ones."""
    try:
        found: dict[str, object] = json.loads(json_text(to_jsonable_python(dict(policies))))
    except ValueError as error:
        raise InvalidPolicyError(f"the policies cannot be kept as JSON: {error}") from error
    return found


def _own_sections(sections: Mapping[str, object]) -> GuardPolicy:
    """Check the sections that the registry reads, and return the guard; raises InvalidPolicyError."""
    try:
        GatePolicy.model_validate(sections.get("gates", {}))
        return GuardPolicy.model_validate(sections.get("guard", {}))
    except ValidationError as error:
        raise InvalidPolicyError(f"gates or guard cannot be used: {fields_of(error)}; mend that") from error
