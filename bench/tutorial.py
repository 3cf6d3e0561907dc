"""docs/tutorial/, its commands as they stand, on synthetic twins of three tables: how long each part takes.

    python -m bench.tutorial [census cards stream]

tests/tutorial runs some of it on a small table. `pip install` is left out, and the data plane's port is a free one.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = tuple(ROOT / "docs" / "tutorial" / page for page in ("first-model.md", "first-rollout.md"))
PROJECT, CHAMPION, SERVED, REHEARSED, DECISION = (
    "A project", "The first champion", "A prediction, and its label", "A bad release, rolled back", "Read the decision",
)  # fmt: skip


class Played(NamedTuple):
    """What the commands said, how many seconds each section took, and the summary of the rehearsal."""

    said: str
    seconds: Mapping[str, float]
    summary: Mapping[str, Any]


def sections() -> dict[str, str]:
    """Return the commands under each heading of the tutorial, as they stand."""
    found: dict[str, str] = {}
    document = "\n".join(page.read_text() for page in PAGES)
    for title, text in re.findall(r"^#+ (.+?)\n(.*?)(?=^#+ |\Z)", document, re.MULTILINE | re.DOTALL):
        found[title] = "".join(re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    return found


def play(folder: Path, table: pd.DataFrame, titles: Collection[str]) -> Played:
    """Run the commands of these sections in `folder`, beside `table`, in one bash that ends with the first failure."""
    table.to_parquet(folder / "table.parquet")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    marks = folder / "marks"
    for title, commands in sections().items():
        if title in titles:
            lines += [
                commands.replace("localhost:8080", f"localhost:{port}"),
                f'echo "{title}|$(date +%s.%N)" >> {marks}',
            ]
    marks.write_text(f"|{time.time()}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLOPS_", "DAGSTER_"))}
    environment |= {
        "MLOPS_PORT": str(port),
        "OMP_NUM_THREADS": "1",  # on cores that others use too, threads that wait for one another double the time
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    found = subprocess.run(
        ["/bin/bash", "-c", "\n".join(lines)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise RuntimeError(f"the commands ended with {found.returncode}:\n{found.stdout[-5000:]}")
    times = [line.split("|") for line in marks.read_text().splitlines()]
    seconds = {title: float(end) - float(begin) for (_, begin), (title, end) in pairwise(times)}
    summary = json.loads((folder / "income" / ".mlops" / "rehearsal" / "summary.json").read_text())
    return Played(found.stdout, seconds, summary)


def census(a_day: int = 800, days: float = 21, seed: int = 7) -> pd.DataFrame:
    """Employment by a person's answers: ints, bools, categories, nulls, and labels 0 and 1."""
    rng, rows = np.random.default_rng(seed), int(days * a_day)
    age, disabled = rng.integers(17, 90, rows), rng.random(rows) < 0.12
    school = rng.choice(["none", "school", "college", "doctor"], rows, p=[0.1, 0.5, 0.35, 0.05])
    children = pd.Series(rng.poisson(1.1, rows), dtype="Int64").mask(rng.random(rows) < 0.2)
    odds = 3 - np.abs(age - 42) / 9 - 3 * disabled + 1.5 * (school == "college") + 2 * (school == "doctor")
    return pd.DataFrame(
        {
            "event_time": _times(rng, rows, days),
            "age": age,
            "disabled": disabled,
            "school": pd.Categorical(school),
            "children": children,
            "relation": rng.integers(0, 17, rows),
            "sex": pd.Series(rng.choice(["f", "m"], rows), dtype="string"),
            "label": (rng.random(rows) < _share(2 * odds)).astype(int),
        }
    )


def cards(a_day: int = 6000, days: float = 10, seed: int = 7) -> pd.DataFrame:
    """Card payments: 30 floats that say nothing by their names, one in 25 a fraud, labels some hours late."""
    rng, rows = np.random.default_rng(seed), int(days * a_day)
    fraud = rng.random(rows) < 0.04
    values = rng.normal(0, 1, (rows, 29)) + np.outer(fraud, rng.choice([-2.5, 0, 0, 2.0], 29))
    times = _times(rng, rows, days)
    names = [f"V{number}" for number in range(1, 30)]
    return pd.DataFrame(values, columns=names).assign(
        amount=rng.lognormal(3 + fraud, 1, rows),
        event_time=times,
        label=np.where(fraud, "fraud", "fine"),
        known_at=times + pd.to_timedelta(rng.uniform(1, 6, rows), unit="h"),
    )


def stream(a_day: int = 3000, days: float = 21, seed: int = 7) -> pd.DataFrame:
    """A stream of visits of which one in a hundred is what one looks for."""
    rng, rows = np.random.default_rng(seed), int(days * a_day)
    wanted = rng.random(rows) < 0.01
    return pd.DataFrame(
        {
            "event_time": _times(rng, rows, days),
            "source": np.where(wanted & (rng.random(rows) < 0.8), "mail", rng.choice(["web", "shop", "mail"], rows)),
            "pages": rng.poisson(3 + 9 * wanted),
            "seconds": rng.exponential(60 + 400 * wanted),
            "known": rng.random(rows) < 0.3 + 0.6 * wanted,
            "label": wanted,
        }
    )


TWINS: Final[Mapping[str, Callable[[], pd.DataFrame]]] = MappingProxyType(
    {"census": census, "cards": cards, "stream": stream}
)


def _times(rng: np.random.Generator, rows: int, days: float) -> pd.DatetimeIndex:
    """Up to now: training sets of a new model end now."""
    ago = np.sort(rng.uniform(0, days * 86_400, rows))[::-1]
    return pd.Timestamp.now("UTC") - pd.to_timedelta(ago, unit="s")


def _share(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-odds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("twins", nargs="*", choices=[*TWINS], help="else all of them")
    for name in parser.parse_args().twins or TWINS:
        with tempfile.TemporaryDirectory(prefix="mlops-tutorial-") as folder:
            played = play(Path(folder), TWINS[name](), (PROJECT, CHAMPION, SERVED, REHEARSED, DECISION))
        print(f"{name}: {sum(played.seconds.values()):.0f} s")
        for title, seconds in played.seconds.items():
            print(f"  {title}: {seconds:.0f} s")
        for bad in played.summary["bad_releases"]:
            print(f"  {bad['what']}: {bad['fate'].split(':')[0]}")


if __name__ == "__main__":
    main()
