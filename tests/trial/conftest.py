"""Here each version is tried as often as the platform tries it."""

import pytest


@pytest.fixture(autouse=True)
def _sound_versions_are_tried_once() -> None:
    """Replace the fixture of all other tests."""
