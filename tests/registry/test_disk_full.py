"""A disk that takes no more: the kernel refuses to let files grow, as it does when the disk is full."""

import json
from pathlib import Path

import pytest

from mlops_dagster.registry import ModelRegistry

FILL = """
import json, resource, sys
from pathlib import Path
from mlops_dagster.errors import MlopsError
from mlops_dagster.registry import ModelRegistry

registry = ModelRegistry(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
outcomes = []
for number, artifact in enumerate(sorted(Path(sys.argv[2]).iterdir())):
    try:
        registry.register("flights", artifact, f"1.{number}.0", description="d" * int(sys.argv[3]))
        outcomes.append("registered")
    except MlopsError as error:
        outcomes.append(error.code)
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize(("artifact", "description"), [(60_000, 10), (10, 20_000)], ids=["artifact", "database"])
def test_what_does_not_fit_is_refused_and_the_rest_is_whole(
    tmp_path: Path, start_process, artifact: int, description: int
) -> None:
    uri = f"sqlite:///{tmp_path}/home/mlops.sqlite"
    (tmp_path / "from").mkdir()
    for number in range(40):
        (tmp_path / "from" / f"{number:02}").write_bytes(bytes([number]) * artifact * number)
    output, errors = start_process(FILL, uri, str(tmp_path / "from"), str(description)).communicate()
    assert errors == ""
    outcomes = json.loads(output)
    registered = outcomes.count("registered")
    assert set(outcomes) == {"registered", "storage"}

    registry = ModelRegistry(uri)
    assert len(registry.list("flights")) == registered
    assert registry.audit().events == registered
    for version in registry.list("flights"):
        registry.fetch(version, tmp_path / version.version)
    left = [file.name for file in (tmp_path / "home" / "artifacts").iterdir()]
    assert sorted(left) == ["anchors", "sha256"]
    registry.register("flights", tmp_path / "from" / "39", "2.0.0")  # there is room again
    registry.close()
