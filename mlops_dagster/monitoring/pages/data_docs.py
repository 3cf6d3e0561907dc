"""Data docs: the page that Great Expectations draws of one validation.

The site builder of Great Expectations keeps every validation in its context and copies 4 MB of pictures; drawing one
page takes 0.1 s. The asset that was validated links to its page, so no index of pages is needed. The styles of a page
come from the network; without a network a word tells passed expectations from failed ones.
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
"""Font Awesome, loaded later in the page, replaces both words by symbols if the network has it."""


def publish(
    files: Files, name: str, result: ValidationResult, *, source: str | None = None, replace: bool = False
) -> str | None:
    """Keep the page of a validation as `<name>-<digest of the findings>.html`, and return the link to the page.

    The same findings have one page. With `replace` the page is `<name>.html` and replaces the page of that name. The
    page links to `source`, the address in Dagster's UI of the asset that was validated. Returns None if there was
    nothing to validate, or the validation broke: then there is nothing to draw. Raises StorageError.
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
    """Return the page as HTML; `name` stands at its top, with a link to `source`.

    Texts from a batch are escaped: they are shown, never run as HTML.
    """
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView
    from great_expectations.util import convert_to_json_serializable

    shown = copy.deepcopy(found)
    shown.meta["run_id"] = RunIdentifier(run_name=name)
    for each in shown.results:
        # The renderer cannot print all scalars of numpy 2 (it takes some for floats), so they go through JSON.
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
    """Return `value` with every text in it escaped as HTML.

    Great Expectations escapes the texts of an expectation itself, except where it draws a figure of them.
    """
    match value:
        case str():
            return escape(value)
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}
        case list() | tuple():
            return [_escaped(each) for each in value]
        case _:
            return value
