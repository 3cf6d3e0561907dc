"""The code locations that `workspace.yaml` names and their models, found as `mlops dev` finds them."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from mlops_dagster.components import ModelLifecycle, ModelSpec
from mlops_dagster.components.compat import LazyDefinitions, WorkspaceFileTarget, get_loadable_targets
from mlops_dagster.errors import InvalidInputError, MlopsError, ModelNotFoundError

WORKSPACE = "workspace.yaml"


class Found(NamedTuple):
    """A model of a project, and the name of the code location that has it."""

    spec: ModelSpec
    location: str


def find_model(model: str, project: Path) -> Found:
    """Return the model as its YAML has it, from the code locations of the `workspace.yaml` in `project`.

    Imports the project's code. Raises InvalidInputError if that fails, and ModelNotFoundError if no location has it.
    """
    if not (project / WORKSPACE).exists():
        raise InvalidInputError(f"there is no {WORKSPACE} in {str(project)!r}; run this in the folder of a project")
    models = {found.spec.model: found for found in _models(project)}
    try:
        return models[model]
    except KeyError:
        there = ", ".join(sorted(models)) or "none"
        raise ModelNotFoundError(f"no model {model!r} in the code locations of {WORKSPACE}; there is {there}") from None


def _models(project: Path) -> Iterator[Found]:
    with warnings.catch_warnings(), chdir(project):
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        for origin in WorkspaceFileTarget([WORKSPACE]).create_origins():
            target = origin.loadable_target_origin
            folder = str(Path(target.working_directory or "").absolute())
            if (
                folder not in sys.path
            ):  # stays there, as in Dagster's own processes: trainers import modules as they run
                sys.path.insert(0, folder)
            try:
                found = get_loadable_targets(
                    python_file=target.python_file,
                    module_name=target.module_name,
                    package_name=target.package_name,
                    autoload_defs_module_name=target.autoload_defs_module_name,
                    working_directory=folder,
                    attribute=target.attribute,
                    resolve_lazy_defs=False,
                )
                definitions = [each.target_definition for each in found]
                loaded = [each() if isinstance(each, LazyDefinitions) else each for each in definitions]
            except MlopsError:
                raise
            except Exception as error:  # the team's own code, and Dagster's errors of many classes
                raise InvalidInputError(
                    f"the code location {origin.location_name!r} does not load: {error}; `dg check defs` says more"
                ) from error
            for each in loaded:
                tree = each.component_tree if isinstance(each, dg.Definitions) else None
                if tree is not None:
                    for component in tree.get_all_components(ModelLifecycle):
                        yield Found(component.spec, origin.location_name)
