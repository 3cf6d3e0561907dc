"""Small projects that use this as a library: a folder a model, and what people get wrong in one of them."""

from collections.abc import Mapping
from pathlib import Path

GOOD = """\
type: mlops_dagster.components.ModelLifecycle
attributes:
  model: MODEL
  trainer: json
  training: {dataset: mine}
  card: {intended_use: x, failure_modes: [y], contacts: [z], fairness_attribute: w}
"""
"""What is added to it begins on line 7."""


def yaml_of(model: str, more: str = "") -> str:
    """Return a `defs.yaml` with `more` at its end."""
    return GOOD.replace("MODEL", model) + more


def project(root: Path, name: str, yamls: Mapping[str, str]) -> Path:
    """Make a project `name` in `root`, with a folder for each YAML; return its folder of definitions."""
    defs = root / name / "defs"
    (root / "dg.toml").write_text(
        f'directory_type = "project"\n[project]\nroot_module = "{name}"\n'
        f'code_location_target_module = "{name}.definitions"\n'
    )
    for folder, text in yamls.items():
        (defs / folder).mkdir(parents=True)
        (defs / folder / "defs.yaml").write_text(text)
    for folder in (root / name, defs):
        (folder / "__init__.py").touch()
    (root / name / "definitions.py").write_text(
        "from pathlib import Path\n"
        "import dagster as dg\n"
        "from mlops_dagster.components import load_from_defs_folder\n"
        "@dg.definitions\n"
        "def defs():\n"
        "    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    (defs / "shared.py").write_text(
        "import dagster as dg\n"
        "from mlops_dagster.components import Platform\n"
        "shared = dg.Definitions(resources={'platform': Platform()})\n"
    )
    return defs
