"""Configuration of the documentation site: Sphinx, with pages in Markdown (MyST)."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docs.generate import write_references  # noqa: E402  # the root of the repository has to be on the path

project = "mlops_dagster"
copyright = "the authors of mlops_dagster, Apache-2.0"  # noqa: A001  # the name that Sphinx reads
version = release = installed("mlops-dagster")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate", "reference/generated"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True}
default_role = "code"  # docstrings are Markdown
smartquotes = False  # options begin with two hyphens
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"mlops_dagster {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"

write_references(HERE / "reference" / "generated")
