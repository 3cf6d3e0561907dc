"""The check of Dagster's private names: what it refuses, and that the package passes."""

from pathlib import Path

import pytest

from checks.private_names import main, refused


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        ("from dagster._core.events import JobFailureData", True),
        ("import dagster_shared.record", True),
        ("import dagster as dg\ndg.instance._settings", True),
        ("import dagster as dg\nself._settings = dg.job", False),
        ("from mlops_dagster.components.compat import RUN_KEY_TAG", False),
        ("import numpy\nnumpy._core", False),
    ],
)
def test_private_names_stand_in_one_file(line: str, is_refused: bool, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(line)
    assert bool(list(refused(file))) is is_refused


def test_the_package_passes() -> None:
    assert main(str(Path(__file__).parents[2] / "mlops_dagster")) == 0
