"""What registering and fetching a large artifact costs, against a real server of S3: memory and MB/s.

python bench/artifact_memory.py [megabytes, 5000 if not said]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings


def measure(storage: str, megabytes: int) -> dict[str, float]:
    """Peak of resident memory (MB) of this process before and after, and speed (MB/s), of a file with a hole."""
    with tempfile.TemporaryDirectory() as folder:
        registry = ModelRegistry(settings=Settings(home=Path(folder), storage_url=storage))
        warm = Path(folder, "warm.bin")
        warm.write_bytes(b"warm")
        registry.fetch(registry.register("warm", warm), Path(folder, "copy"))
        before = _peak()
        artifact = Path(folder, "model.bin")
        with artifact.open("wb") as file:
            file.truncate(megabytes * 1_000_000)
        register = _seconds(lambda: registry.register("large", artifact))
        artifact.unlink()
        fetch = _seconds(lambda: registry.fetch(registry.get("large", "1.0.0"), artifact))
        assert artifact.stat().st_size == megabytes * 1_000_000
        registry.close()
    return {
        "before_mb": before,
        "after_mb": _peak(),
        "register_mb_per_s": megabytes / register,
        "fetch_mb_per_s": megabytes / fetch,
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak() -> float:
    """In MB. Not from getrusage: what it tells begins with the peak of the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def main(megabytes: int) -> None:
    root = Path(__file__).parent.parent
    sys.path.insert(0, str(root))
    from tests.support import weed

    with weed.weed() as address:
        weed.client(address).create_bucket(Bucket="bench")
        settings = weed.environment(address) | {"PYTHONPATH": str(root)}
        subprocess.run([sys.executable, __file__, "s3://bench/artifacts", str(megabytes)], check=True, env=settings)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("s3://"):
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5000)
