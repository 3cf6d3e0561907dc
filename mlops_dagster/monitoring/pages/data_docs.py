"""Data docs: the page that Great Expectations draws of one validation.

Its site builder keeps every validation in its context and copies 4 MB of pictures; one page takes 0.1 s. Pages are
linked from what was validated, which is the index to them. Their styles come from the network, as it has them; without
one what passed is told from what failed by a word.
"""

import copy
import hashlib
import json
import re
from html import escape
from typing import TYPE_CHECKING

from mlops_dagster.monitoring.validation.validate import ValidationResult
from mlops_dagster.storage.files import Files

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

_INTO_THE_SITE = re.compile(r'<a\s+href="\.\./[^"]*"')
_WITHOUT_NETWORK = """<style>
  .fa-check-circle:before { content: "passed"; font-style: normal }
  .fa-times:before { content: "failed"; font-style: normal }
</style>"""
"""Font Awesome, which comes later in the page, says otherwise of both, if it comes."""


def publish(
    files: Files, name: str, result: ValidationResult, *, source: str | None = None, replace: bool = False
) -> str | None:
    """Keep the page of a validation as `<name>-<digest of what was found>.html`; returns the link to it.

    The same finding has one page. With `replace` it is `<name>.html`, in place of what was there. The page
    links to `source`, the address of what was validated in Dagster's UI. None if there was
    nothing to validate, or it broke: then there is nothing to draw. Raises StorageError.
    """
    if result.found is None:
        return None
    if replace:
        files.put(f"{name}.html", draw(result.found, name, source).encode())
        return files.link(f"{name}.html")
    found = [each.to_json_dict() for each in result.found.results]
    digest = hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()
    place = f"{name}-{digest[:8]}.html"
    if not files.has(place):
        files.add(place, draw(result.found, name, source).encode())
    return files.link(place)


def draw(found: "ExpectationSuiteValidationResult", name: str, source: str | None = None) -> str:
    """The page, as HTML; `name` stands at its top, with a link to `source`.

    Whatever texts a batch holds are shown, not obeyed.
    """
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView
    from great_expectations.util import convert_to_json_serializable

    shown = copy.deepcopy(found)
    shown.meta["run_id"] = RunIdentifier(run_name=name)
    for each in shown.results:
        # It cannot print the scalars of numpy 2, some of which are floats to it: those end as JSON at the latest.
        plain = json.loads(json.dumps(convert_to_json_serializable(each.result)))
        each.result = {name: _escaped(value) for name, value in plain.items()}
        asked = each.expectation_config.kwargs if each.expectation_config else {}
        if "partition_object" in asked:
            asked["partition_object"] = _escaped(asked["partition_object"])
    document = ValidationResultsPageRenderer().render(shown)
    page = str(DefaultJinjaPageView().render(document))  # type: ignore[no-untyped-call]  # as Great Expectations has it
    page = _INTO_THE_SITE.sub("<a", page).replace("<head>", f"<head>\n{_WITHOUT_NETWORK}", 1)
    if source is None:
        return page
    return page.replace("<body>", f'<body>\n<p><a href="{escape(source)}">This batch in Dagster</a></p>', 1)


def _escaped(value: object) -> object:
    """Every text in it as HTML. Great Expectations does so with what was asked for, unless it draws a figure of it."""
    match value:
        case str():
            return escape(value)
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}
        case list() | tuple():
            return [_escaped(each) for each in value]
        case _:
            return value
