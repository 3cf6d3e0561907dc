"""One model's mistake in its YAML is that model's trouble: all others load, and `dg check defs` still says so."""

import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info  # no public name

from mlops_dagster.components import ModelLifecycle, load_from_defs_folder
from mlops_dagster.components import model_lifecycle as lifecycle
from mlops_dagster.components.compat import ComponentTreeException
from mlops_dagster.errors import InvalidDefinitionError, InvalidInputError
from mlops_dagster.loop.spec import ModelSpec
from tests.support.components.projects import project, yaml_of

MISTAKES = {
    "a key that nobody knows": (yaml_of("bad", "  rolout: {}\n"), "rolout at FILE:7"),
    "no number": (yaml_of("bad", "  rollout: {slow_ms: .inf}\n"), "rollout.slow_ms at FILE:7"),
    "no name": (yaml_of("'a b'"), "model at FILE:3"),
    "a name that YAML takes for false": (yaml_of("off"), "model at FILE:3"),
    "no YAML": (yaml_of("bad", "  rollout: [\n"), "FILE cannot be read as YAML: .* on line 8"),
    "no YAML at all": ("\0", "FILE cannot be read as YAML"),
    "a key twice": (yaml_of("bad", "  model: other\n"), "FILE .* 'model' stands on line 3 and again on line 7"),
    "a key twice further down": (yaml_of("bad", "  drift: {alpha: 1, alpha: 1}\n"), "'alpha' stands on line 7"),
    "nothing": ("", "FILE.*No components found"),
    "no such type": (yaml_of("bad").replace("ModelLifecycle", "ModelLivecycle"), "FILE.*ModelLivecycle"),
    "a key of the top": (yaml_of("bad").replace("attributes", "atributes"), "atributes at FILE:2"),
    "no attributes": (yaml_of("bad").partition("attributes")[0], "FILE:1.*has no attributes"),
    "no module": (yaml_of("bad").replace("json", "json.nowhere"), "FILE:4: no module 'json.nowhere'"),
    "no suite": (yaml_of("bad", "  validation: {suite: no.json}\n"), "FILE:1: cannot read the suite"),
    "no calendar": (yaml_of("bad", "  retraining: {cadence: daily}\n"), "cadence at FILE:7.*weekly, monthly, or null"),
    "nothing to select": (yaml_of("bad", "post_processing: {assets: [{target: 3}]}\n"), "post_processing.*FILE:7"),
    "a name that is taken": (yaml_of("A_Good"), "FILE:3: `model`: 'A_Good' is 'a-good' of another folder"),
}

_numbers = count()


class Projects:
    """Projects of one test, each with its own name: modules stay imported."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def make(self, **yamls: str) -> Path:
        """Return its folder of definitions, with these YAMLs."""
        name = f"project_{next(_numbers)}"
        return project(self._root, name, yamls)

    def load(self, **yamls: str) -> dg.RepositoryDefinition:
        """Load one with these beside two good models."""
        return loaded(self.make(a=yaml_of("a-good"), **{"team/z": yaml_of("good-as-well")}, **yamls))


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Projects]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    yield Projects(tmp_path)
    for module in [each for each in sys.modules if each.startswith("project_")]:
        del sys.modules[module]


def loaded(defs: Path) -> dg.RepositoryDefinition:
    return load_from_defs_folder(path_within_project=defs.parent).get_repository_def()


def trained(repository: dg.RepositoryDefinition) -> set[str]:
    """Return the models that are there."""
    return {job.name.removesuffix("_retrain") for job in repository.get_all_jobs() if job.name.endswith("_retrain")}


def refusals(repository: dg.RepositoryDefinition) -> list[str]:
    """Return what the sensors of those that are not there fail with."""
    found = []
    for sensor in repository.sensor_defs:
        if "__refused_" in sensor.name:
            with pytest.raises(InvalidDefinitionError) as failed:
                sensor.evaluate_tick(dg.build_sensor_context())
            found.append(failed.value.message)
    return found


def test_what_is_wrong_with_models_is_said_by_them_and_all_others_load(
    projects: Projects, caplog: pytest.LogCaptureFixture
) -> None:
    repository = projects.load(**{f"m{number}": text for number, (text, _) in enumerate(MISTAKES.values())})
    assert trained(repository) == {"a_good", "good_as_well"}
    told = refusals(repository)
    assert len(told) == len(MISTAKES)
    for number, (_, said) in enumerate(MISTAKES.values()):
        pattern = said.replace("FILE", rf"\S*/m{number}/defs\.yaml")
        (message,) = [each for each in told if re.search(pattern, each, re.DOTALL)]
        assert message in caplog.text
        assert "registry and rollouts stay as they are" in message


@pytest.mark.parametrize("mistake", MISTAKES)
def test_who_asks_whether_all_is_sound_is_told_file_line_and_key(
    projects: Projects, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    text, said = MISTAKES[mistake]
    defs = projects.make(a=yaml_of("a-good"), m=text) if "taken" in mistake else projects.make(m=text)
    monkeypatch.setenv("DAGSTER_IS_DEFS_VALIDATION_CLI", "1")  # as `dg check defs` does
    monkeypatch.setattr(lifecycle, "check_model", lambda _spec: None)  # `json` is no trainer
    with pytest.raises(dg.DagsterError, match="(?s)" + said.replace("FILE", str(defs / "m" / "defs.yaml"))):
        loaded(defs)


def test_the_check_tells_of_all_models_by_their_sentences_alone(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster prints the error that it makes of ours, which is all that stands between our words and the reader."""
    monkeypatch.setenv("DAGSTER_IS_DEFS_VALIDATION_CLI", "1")
    try:
        loaded(projects.make(a=yaml_of("one", "  rolout: {}\n"), b=yaml_of("two", "  dritf: {}\n")))
    except dg.DagsterError:
        printed = serializable_error_info_from_exc_info(sys.exc_info()).to_string()
    first, second = printed.split("\n\n")
    assert "rolout at " in first
    assert "dritf at " in second
    assert "Traceback" not in printed
    assert "Stack Trace" not in printed


def test_of_two_models_in_one_file_one_may_be_wrong(projects: Projects) -> None:
    repository = projects.load(two=f"{yaml_of('one')}---\n{yaml_of('bad', '  rolout: {}')}")
    assert trained(repository) == {"a_good", "good_as_well", "one"}
    assert "rolout at " in refusals(repository)[0]


def test_whatever_is_raised_for_one_model(projects: Projects, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a trainer's module or a check of ours may do, when the YAML is loaded or its definitions are made."""
    raised = {"json.decoder": RuntimeError("no"), "json.encoder": SystemExit(0), "json.scanner": RecursionError()}
    check, build = lifecycle.check_trainer, lifecycle.lifecycle_defs

    def checked(trainer: str) -> None:
        if trainer in raised:
            raise raised[trainer]
        check(trainer)

    def built(spec: ModelSpec) -> dg.Definitions:
        if spec.model == "in-making":
            raise InvalidInputError("no")
        return build(spec)

    monkeypatch.setattr(lifecycle, "check_trainer", checked)
    monkeypatch.setattr(lifecycle, "lifecycle_defs", built)
    wrong = {f"m{number}": yaml_of("bad").replace("json", trainer) for number, trainer in enumerate(raised)}
    repository = projects.load(**wrong, more=yaml_of("in-making"))
    assert trained(repository) == {"a_good", "good_as_well"}
    assert len(refusals(repository)) == 4


def test_of_two_models_of_one_name_to_dagster_the_second_says_so(projects: Projects) -> None:
    models = {"a1": "shop", "b": "shop", "c": "card-fraud", "d": "Card_Fraud"}
    repository = projects.load(**{folder: yaml_of(model) for folder, model in models.items()})
    assert trained(repository) == {"a_good", "good_as_well", "shop", "card_fraud"}
    first, second = sorted(refusals(repository))
    assert "b/defs.yaml:3: `model`: 'shop' is 'shop' of another folder" in first
    assert "d/defs.yaml:3: `model`: 'Card_Fraud' is 'card-fraud' of another folder" in second


def test_one_whose_name_is_taken_by_a_refused_model_does_not_take_its_place(projects: Projects) -> None:
    """Else it would act on the rollouts of the other, whose YAML is to be mended."""
    repository = projects.load(first=yaml_of("shop", "  rolout: {}\n"), second=yaml_of("shop"))
    assert trained(repository) == {"a_good", "good_as_well"}
    assert len(refusals(repository)) == 2


def test_a_python_file_is_everybodys(projects: Projects) -> None:
    defs = projects.make(m=yaml_of("one", "  rolout: {}\n"))
    (defs / "broken.py").write_text("raise RuntimeError('the shared resources are gone')")
    with pytest.raises(RuntimeError, match="the shared resources are gone"):
        loaded(defs)


def test_what_loads_is_what_dagster_loads(projects: Projects, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree is read in our own way: nothing of it may be missing. But Dagster's adds no sensors over all models."""
    defs = projects.make(**{"team/z": yaml_of("one")})
    with pytest.raises(ComponentTreeException) as refused:
        dg.load_from_defs_folder(path_within_project=defs.parent)
    assert "load it by mlops_dagster.components.load_from_defs_folder" in str(refused.value.__cause__)
    monkeypatch.setattr(dg.ComponentTree, "holders", {}, raising=False)
    ours, theirs = loaded(defs), dg.load_from_defs_folder(path_within_project=defs.parent).get_repository_def()
    assert set(ours.asset_graph.get_all_asset_keys()) == set(theirs.asset_graph.get_all_asset_keys())
    assert {each.name for each in ours.get_all_jobs()} > {each.name for each in theirs.get_all_jobs()}
    assert theirs.sensor_defs == []
    assert ours.get_top_level_resources().keys() == theirs.get_top_level_resources().keys() == {"platform"}


def test_only_models_with_a_spec_are_found_in_the_tree(projects: Projects) -> None:
    """Whoever walks the tree of a location, as a rehearsal does, asks for their specs."""
    defs = projects.make(a=yaml_of("a-good"), m=yaml_of("bad", "  rolout: {}\n"), n=yaml_of("bad", "  rollout: [\n"))
    tree = load_from_defs_folder(path_within_project=defs.parent).component_tree
    assert tree is not None
    assert [each.spec.model for each in tree.get_all_components(ModelLifecycle)] == ["a-good"]
