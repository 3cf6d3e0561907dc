"""The wheel serves a model with the base dependencies alone. `python -m bench.slim_install` is the same, by pip."""

import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.slim_install import ROOT, build_wheel, closure, link, live, make_environment, tell, weigh
from mlops_dagster.extras import MODULES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "mlops_dagster"
    files = {str(each.relative_to(ROOT)) for each in package.rglob("*") if each.is_file()}
    lacks = {each for each in files - set(ZipFile(wheel).namelist()) if not each.endswith(".pyc")}
    assert not lacks, "write their pattern into `package-data` of pyproject.toml"


@pytest.mark.timeout(300)
def test_the_wheel_alone_registers_promotes_serves_logs_and_ships(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_environment(tmp_path / "base", pip=False)
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "base" / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
    (installed,) = distributions(name="mlops-dagster", path=[str(site)])
    base = closure(installed)
    link((each for each in base if each is not installed), site)
    live(tmp_path / "base", tmp_path / "home")
    with capsys.disabled():
        tell(weigh(base), weigh(closure(installed, ["all"])))


def test_each_extra_is_known_by_modules_that_it_brings() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought_by = packages_distributions()
    for extra, modules in MODULES.items():
        declared = {canonicalize_name(Requirement(each).name) for each in extras[extra]}
        for module in modules:
            assert declared & {canonicalize_name(name) for name in brought_by[module]}, f"{module} of {extra}"
