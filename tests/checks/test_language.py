"""The check of docstrings' first lines: what it refuses, and that the package passes."""

from pathlib import Path

import pytest

from checks.language import main, refused


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("What an operator may set.", "What"),
        ("Return the report beside the log.", "beside"),
        ("Whom to keep in memory.", "Whom"),
        ("Return the champion of `model`; None if it had none.", None),
        ("A worker whose job can be abandoned.", None),
    ],
)
def test_openers_and_riddles_are_refused(line: str, word: str | None, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(f'"""A module."""\n\n\ndef act() -> None:\n    """{line}\n\n    What follows is free.\n    """\n')
    found = list(refused(file))
    assert found == ([] if word is None else [f"{file}:4: {word!r}: {line}"])


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ('raise InvalidInputError(f"{name} is no number of bytes")', "is no"),
        ('x = Field(default=1, description="the share of whatever comes")', "whatever"),
        ('raise InvalidInputError(f"there is no home at {path}; name another")', None),
        ('print("nobody reads this")', None),
    ],
)
def test_messages_are_read_too(code: str, word: str | None, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(code)
    assert [each.split(": ")[1] for each in refused(file)] == ([] if word is None else [repr(word)])


def test_the_package_passes() -> None:
    assert main(str(Path(__file__).parents[2] / "mlops_dagster")) == 0
