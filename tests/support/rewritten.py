"""Rewrites the asserts of all test files into pytest's cache, once: each worker of xdist would for itself, in 6 s.

    python -m tests.support.rewritten

pytest reads its cache also where PYTHONDONTWRITEBYTECODE is set, as in containers, but does not write it there.
"""

from pathlib import Path
from types import SimpleNamespace

from _pytest.assertion.rewrite import (  # pytest has no public names for its cache
    PYC_TAIL,
    _read_pyc,
    _rewrite_test,
    _write_pyc,
    get_cache_dir,
)

if __name__ == "__main__":
    state = SimpleNamespace(trace=print)
    tests = Path("tests").absolute()
    for file in sorted([*tests.rglob("test_*.py"), *tests.rglob("conftest.py"), tests / "support" / "needs.py"]):
        cached = get_cache_dir(file) / f"{file.stem}{PYC_TAIL}"
        if _read_pyc(file, cached) is None:
            cached.parent.mkdir(exist_ok=True)
            source, code = _rewrite_test(file, None)
            _write_pyc(state, code, source, cached)
