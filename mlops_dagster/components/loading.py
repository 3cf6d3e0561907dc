"""A loader of code locations in which a mistake in one model's YAML does not keep the other models from loading."""

import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from mlops_dagster.components.compat import (
    EXPLICITLY_IGNORED_GLOB_PATTERNS,
    ComponentDecl,
    ComponentDeclLoadContext,
    ComponentLoaderDecl,
    ComponentLoc,
    ComponentPath,
    ComponentTree,
    ComponentTreeException,
    DagsterUserCodeProcessError,
    DefsFolderDecl,
    SerializableErrorInfo,
    YamlDecl,
    YamlFileDecl,
    build_filesystem_component_decl_from_context,
    find_defs_or_component_yaml,
    is_check,
    safe_is_subclass,
    suppress_dagster_warnings,
)
from mlops_dagster.components.fleet import with_fleet
from mlops_dagster.components.model_lifecycle import ModelLifecycle
from mlops_dagster.components.partitions import begin_on
from mlops_dagster.components.refused import RefusedModel
from mlops_dagster.components.sensors.training_runs import retrain_job
from mlops_dagster.documents.readable import reason_at
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidDefinitionError
from mlops_dagster.garbage import uncollected
from mlops_dagster.names import fold_model

Sought = TypeVar("Sought", bound=dg.Component)

_KEY = re.compile(r"`([\w.]+)`")


@suppress_dagster_warnings
def load_from_defs_folder(*, path_within_project: Path, since: date | None = None) -> dg.Definitions:
    """Load a project as `dagster.load_from_defs_folder` does, but each YAML by itself, and add the fleet's definitions.

    These are the sensors, jobs and schedules over all models: rollouts, retrainings, reports, manual actions.

    `since` is the first day with traffic, on which hours, days and weeks begin; `MLOPS_PARTITIONS_START` names another.

    Where a YAML cannot be read or understood, or its definitions cannot be made, its model is refused: it has a sensor
    whose ticks fail with the reason, and the rest of the location loads. Python files are everybody's: what they raise
    is raised. `dg check defs` asks whether all is sound, so there whatever is wrong is raised.

    Raises:
        DagsterUserCodeProcessError: under `dg check defs`, with file, line and reason for each model that is refused.
    """
    if since is not None:
        begin_on(since)
    tree = _Tree.for_project(path_within_project)
    root = ComponentPath.from_path(tree.defs_module_path)
    declared = _folder(tree.decl_load_context.for_component_loc(root))
    tree.state_tracker.set_cache_data(root, component_decl=declared)  # which Dagster takes instead of its own
    with uncollected(for_good=True):
        models = tree.build_defs()
    every = tree.get_all_components(dg.Component)  # type: ignore[type-abstract]  # none is made
    refusals = dict.fromkeys(each.why for each in every if isinstance(each, RefusedModel))  # a file's, and its folder's
    if refusals and is_check():
        raise _told("\n\n".join(refusals))
    jobs = {job.name for job in models.jobs or ()}  # a model can be refused after its component was loaded
    specs = [each.spec for each in tree.get_all_components(ModelLifecycle)]
    return with_fleet(models, [spec for spec in specs if retrain_job(spec) in jobs])


def _told(message: str) -> DagsterUserCodeProcessError:
    """Return the error that `dg check defs` prints as a sentence: of others it prints their stack as well, twice."""
    told = SerializableErrorInfo(message, stack=[], cls_name=InvalidDefinitionError.__name__)
    return DagsterUserCodeProcessError(message, user_code_process_error_infos=[told])  # type: ignore[no-untyped-call]  # Dagster's


class _Tree(ComponentTree):
    """Dagster's tree of a project, in which a YAML may fail to be read, to be loaded, or to give definitions."""

    @cached_property
    def holders(self) -> Mapping[str, dg.Component]:
        """The first model of each name in Dagster: two of one name would break the loading of all.

        A refused model keeps its name: another model of that name would act on its rollouts.
        """
        every = self.get_all_components(dg.Component)  # type: ignore[type-abstract]  # none is made
        models = [each for each in every if isinstance(each, ModelLifecycle | RefusedModel)]
        return {fold_model(each.model): each for each in reversed(models)}

    @cached_property
    def _declared(self) -> Mapping[ComponentLoc, ComponentDecl[Any]]:
        return super()._component_decl_tree()

    def _component_decl_tree(self) -> dict[ComponentLoc, ComponentDecl[Any]]:
        return dict(self._declared)  # Dagster's own walks through all files for each

    def _load_component_at_loc(self, resolved_loc: ComponentLoc) -> None:
        try:
            super()._load_component_at_loc(resolved_loc)
        except (Exception, SystemExit) as error:  # a trainer may end its process
            self._refuse(resolved_loc, error)

    def _build_defs_inner(self, resolved_loc: ComponentLoc) -> dg.Definitions | None:
        try:
            return super()._build_defs_inner(resolved_loc)
        except (Exception, SystemExit) as error:
            defs = self._refuse(resolved_loc, error).build_defs(self.load_context)
            self.state_tracker.set_cache_data(resolved_loc, defs=defs)
            return defs

    def _refuse(self, loc: ComponentLoc, error: BaseException) -> RefusedModel:
        """Put a refused model at a YAML; an error of Python files, or told of a part of the YAML, is raised again."""
        decl = self._component_decl_tree().get(loc)
        if not isinstance(decl, YamlDecl | YamlFileDecl) or isinstance(error, ComponentTreeException):
            raise error
        refused = _refused(decl, error)
        self.state_tracker.set_cache_data(loc, component=refused, component_decl=decl)
        return refused

    def get_all_components(self, of_type: type[Sought]) -> list[Sought]:
        """Return the components of a type that were loaded; a refused one has only its declaration of that type."""
        declared = (
            loc for loc, decl in self._component_decl_tree().items() if safe_is_subclass(decl.component_type, of_type)
        )
        return [each for each in map(self.load_component, declared) if isinstance(each, of_type)]


def _folder(context: ComponentDeclLoadContext) -> DefsFolderDecl:
    """Return the declaration that Dagster makes for a folder without a YAML file in it."""
    children = {}
    for path in sorted(context.path.iterdir()):
        if any(path.relative_to(context.path).match(pattern) for pattern in EXPLICITLY_IGNORED_GLOB_PATTERNS):
            continue
        found = _declared(context.for_component_loc(ComponentPath.from_path(path)))
        if found is not None:
            children[path] = found
    return DefsFolderDecl(
        context=context,
        loc=ComponentPath.from_path(context.path),
        children=children,
        source_tree=None,
        component_file_model=None,
    )


def _declared(context: ComponentDeclLoadContext) -> ComponentDecl[Any] | None:
    """Return the declaration of a file or folder; for an unreadable YAML, a refused model that gives the reason."""
    yaml = find_defs_or_component_yaml(context.path)
    if yaml is None:
        return _folder(context) if context.path.is_dir() else build_filesystem_component_decl_from_context(context)
    try:
        read_yaml(yaml)  # Dagster's reader would silently take the last of two equal keys
        return build_filesystem_component_decl_from_context(context)
    except (Exception, SystemExit) as error:
        refused = RefusedModel("", repr(context.component_loc), reason_at(str(yaml), error))

        def give(context: ComponentDeclLoadContext) -> RefusedModel:  # Dagster reads the type
            return refused

        return ComponentLoaderDecl(context=context, loc=ComponentPath.from_path(context.path), component_node_fn=give)


def _refused(decl: YamlDecl | YamlFileDecl, error: BaseException) -> RefusedModel:
    attributes: object = None
    if isinstance(decl, YamlDecl) and decl.component_file_model is not None:
        attributes = decl.component_file_model.attributes
    model = attributes.get("model") if isinstance(attributes, dict) else None
    return RefusedModel(str(model or ""), repr(decl.loc), reason_at(_position(decl, error), error))


def _position(decl: YamlDecl | YamlFileDecl, error: BaseException) -> str:
    """Return `file:line` of the key that the error names in backquotes, else of the document."""
    if isinstance(decl, YamlFileDecl):
        return str(find_defs_or_component_yaml(decl.context.path))
    assert decl.source_tree is not None
    tree = decl.source_tree.source_position_tree
    named = (tree.lookup(["attributes", *key.split(".")]) for key in _KEY.findall(str(error)))
    return str(next(filter(None, named), tree.position))
