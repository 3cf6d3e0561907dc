"""Configuration of the documentation site: Sphinx, with pages in Markdown (MyST)."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docs.generate import write_references  # noqa: E402  # the root of the repository has to be on the path

project = "mlops_dagster"
author = "the authors of mlops_dagster"
version = release = installed("mlops-dagster")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate", "reference/generated", "README.md"]
nitpicky = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": False, "inherited-members": False}
napoleon_numpy_docstring = False
# Optional imports of type checkers only.
suppress_warnings = ["sphinx_autodoc_typehints"]

html_theme = "furo"
html_title = f"mlops_dagster {release}"
html_static_path: list[str] = []
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"

write_references(HERE / "reference" / "generated")
