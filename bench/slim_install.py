"""The size of `pip install mlops-dagster` and of `mlops-dagster[all]`, and a proof that the first is enough to serve.

    python -m bench.slim_install

Builds the wheel, installs it with pip into two new environments, and plays `bench/slim_life.py` in the smaller one.
`tests/packaging` downloads nothing: it links the distributions that are installed already.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
LIFE: Final = Path(__file__).with_name("slim_life.py")
SOURCES: Final = ("pyproject.toml", "README.md", "LICENSE")
OF_VENV: Final = ("pip", "setuptools")


class Weight(NamedTuple):
    """The number of distributions of an environment, and the bytes of their files without bytecode."""

    packages: int
    size: int


def build_wheel(folder: Path) -> Path:
    """Build the wheel into `folder` from a copy of the sources: setuptools leaves files beside them."""
    copy = folder / "sources"
    shutil.copytree(ROOT / "mlops_dagster", copy / "mlops_dagster", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_environment(folder: Path, *, pip: bool) -> Path:
    """Make an environment without packages; return its site-packages."""
    venv.create(folder, with_pip=pip, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    return site


def closure(root: Distribution, extras: Collection[str] = ()) -> list[Distribution]:
    """Return `root` and the distributions of this environment that it needs with `extras`, and that these need."""
    found = {canonicalize_name(root.name): root}
    waiting = [(root, frozenset(extras))]
    seen = set()
    while waiting:
        each, chosen = waiting.pop()
        for text in each.requires or ():
            needed = Requirement(text)
            if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in chosen or {""}):
                continue
            name = canonicalize_name(needed.name)
            if name not in found:
                found[name] = distribution(name)
            if (step := (name, frozenset(needed.extras))) not in seen:
                seen.add(step)
                waiting.append((found[name], step[1]))
    return list(found.values())


def link(found: Iterable[Distribution], site: Path) -> None:
    """Link every file of the distributions into another site-packages; folders that several share are merged."""
    made = set()
    for each in found:
        for file in each.files or ():
            target = site / file
            if ".." in file.parts:  # programs
                continue
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            target.symlink_to(file.locate())


def weigh(found: Iterable[Distribution]) -> Weight:
    """Return the number of distributions and the bytes of their files, as their wheels say: without bytecode."""
    sizes = [sum(file.size or 0 for file in each.files or ()) for each in found]
    return Weight(len(sizes), sum(sizes))


def live(environment: Path, home: Path) -> None:
    """Play the life of a model with the Python of `environment`; raises CalledProcessError if a step fails."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MLOPS_", "DAGSTER_"))}
    subprocess.run([environment / "bin" / "python", "-I", LIFE, home], env=variables, check=True, cwd=home.parent)


def _installed(folder: Path, requirement: str) -> Weight:
    site = make_environment(folder, pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", requirement], check=True)
    return weigh(each for each in distributions(path=[str(site)]) if each.name not in OF_VENV)


def tell(base: Weight, full: Weight) -> None:
    for name, weight in (("mlops-dagster", base), ("mlops-dagster[all]", full)):
        print(f"{name:20} {weight.packages:4} packages {weight.size / 1e6:6,.0f} MB")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        base = _installed(folder / "base", str(wheel))
        live(folder / "base", folder / "home")
        tell(base, _installed(folder / "all", f"{wheel}[all]"))


if __name__ == "__main__":
    main()
