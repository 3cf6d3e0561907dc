"""Trials that are made once for all tests of a run."""

import functools
import hashlib
import itertools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import pytest

from mlops_dagster.trial import Report, Verdict
from mlops_dagster.trial.process import EXAMINATION, TrialProcess

PASSED_TRIALS: Final = "PASSED_TRIALS"
"""The variable of the environment with the folder of the reports, for the data planes that tests fork."""
_ADDRESSES: Final = re.compile(rb'("__id__": |"file": ")(\d+)')
"""Of objects in memory, by which skops tells them apart: two dumps of one estimator have others."""


@contextmanager
def each_tried_once(passed: Path) -> Iterator[None]:
    """Try the same estimator once, whatever model and home it is registered in; the folder `passed` has the reports.

    Only real trials are spared, not those of the tests of trials.
    """
    tried = TrialProcess.run

    @functools.wraps(tried)
    def run(process: TrialProcess, job: bytes, seconds: float) -> Report:
        if process._module != EXAMINATION:
            return tried(process, job, seconds)
        said = orjson.loads(job)
        path = Path(said.pop("path"))
        files = sorted(each for each in [path, *path.rglob("*")] if each.is_file())
        content = b"".join(each.relative_to(path).as_posix().encode() + _content(each) for each in files)
        key = hashlib.sha256(orjson.dumps({**said, "version": ""}) + content).hexdigest()
        report = Report.read(passed / key) or tried(process, job, seconds)
        if report.verdict is Verdict.PASSED:
            report.keep(passed / key)
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialProcess, "run", run)
        yield


def _content(file: Path) -> bytes:
    """Return the bytes of a file; of a skops file those that two dumps of one estimator have in common."""
    if not zipfile.is_zipfile(file):
        return file.read_bytes()
    with zipfile.ZipFile(file) as dump:
        parts = {name: dump.read(name) for name in dump.namelist()}
    schema = parts.pop("schema.json", b"")
    addresses = dict.fromkeys(address for _, address in _ADDRESSES.findall(schema))
    numbers = {address: b"%d" % number for number, address in enumerate(addresses)}
    arrays = sorted((numbers.get(Path(name).stem.encode(), name.encode()), array) for name, array in parts.items())
    return b"".join((_ADDRESSES.sub(lambda its: its[1] + numbers[its[2]], schema), *itertools.chain(*arrays)))
