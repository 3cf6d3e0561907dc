"""The examination of a version in its trial: `python -m mlops_dagster.inference.examination` is the warm process.

A version is loaded, and scores rows like those of its training data: one, many, as many as the server scores at once,
repeatedly; then rows that its schema allows but that it may never have seen. A version that would fail for all
requests, or whose memory grows without end, is refused; failures on some rows only are noted.
"""

import resource
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from mlops_dagster.documents.strict import STORED
from mlops_dagster.errors import MlopsError, ModelFailedError
from mlops_dagster.inference.rows import Columns
from mlops_dagster.inference.scorer import Scorer
from mlops_dagster.inference.trial import ROWS, trial_columns
from mlops_dagster.registry import Baseline, estimators
from mlops_dagster.schema import ModelSchema
from mlops_dagster.trial.report import Report, Verdict
from mlops_dagster.trial.warm import Job, Tell, serve

BATCH: Final = 512
"""The most rows that the server scores at once."""
TIMES: Final = 10
GROWTH_BYTES: Final = 64 * 2**20
"""More than memory that is allocated once and reused: growth beyond this in `TIMES` batches is a leak."""
MOST_FEATURES: Final = 100
"""The number of features for which null and an unseen category are tried."""
UNSEEN: Final = "a category that was never seen"

PRELOADED: Final = (
    "pandas",
    "skops.io",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
)
"""Imported before a child needs them. onnxruntime starts a thread, so each child that needs it imports it itself."""


def examine(job: Job, tell: Tell) -> Report:
    """Return the report of a trial of `job`'s artifact; raises MemoryError. A crash of the artifact ends it, too."""
    try:
        return Report(Verdict.PASSED, notes=tuple(_notes(job, tell)))
    except MemoryError:
        raise
    except MlopsError as error:
        return Report(Verdict.REFUSED, error.message)
    except ImportError as error:
        reason = f"it needs the module {error.name or error}, which is not installed here; install it, or do without"
        return Report(Verdict.REFUSED, reason)
    except BaseException as error:  # any error, and panics, of libraries that read files of unknown origin
        return Report(Verdict.REFUSED, f"it cannot be loaded ({type(error).__name__}: {error}); save it anew")


def _notes(job: Job, tell: Tell) -> list[str]:
    schema = ModelSchema.model_validate(job["schema"], context=STORED)
    baseline = None if job["baseline"] is None else Baseline.from_json(cast("Mapping[str, object]", job["baseline"]))
    tell("loading it")
    estimator = estimators.load(Path(str(job["path"])), cast("Sequence[str]", job["own_types"]), schema.task)
    tell("holding it to the task of its schema")
    scorer = Scorer(str(job["version"]), schema, estimator)
    limits = cast("Mapping[str, float]", job["limits"])
    _one_row(scorer, schema, baseline, tell, limits["row_seconds"])
    tell(f"scoring {ROWS} rows like its training data")
    scorer.try_out(baseline)
    rows = trial_columns(schema, baseline, BATCH)
    tell(f"scoring {BATCH} rows at once")
    failure = _failure(scorer, rows)
    if failure is None:
        _check_growth(scorer, trial_columns(schema, baseline), tell)
    notes = [] if failure is None else [f"fails on some of {BATCH} made-up rows like its training data: {failure}"]
    return notes + _odd_rows(scorer, schema, baseline, tell)


def _one_row(scorer: Scorer, schema: ModelSchema, baseline: Baseline | None, tell: Tell, most_seconds: float) -> None:
    tell("scoring one row like its training data")
    row = trial_columns(schema, baseline, 1)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        _failure(scorer, row)
        seconds.append(time.monotonic() - started)
        if seconds[-1] < most_seconds:
            return
    raise ModelFailedError(
        f"it takes {min(seconds):.1f} s for one row, and a request is given up after {most_seconds:g} s; make it "
        "faster, or set MLOPS_PREDICT_TIMEOUT"
    )


def _check_growth(scorer: Scorer, rows: Columns, tell: Tell) -> None:
    _failure(scorer, rows)
    before = _resident_bytes()
    for turn in range(1, TIMES + 1):
        tell(f"scoring {ROWS} rows, time {turn} of {TIMES}")
        _failure(scorer, rows)
    grown = _resident_bytes() - before
    if grown > GROWTH_BYTES:
        raise ModelFailedError(
            f"it keeps {grown // TIMES >> 10} kB of memory for each {ROWS} rows that it scores, for ever; register an "
            "estimator that keeps nothing when it predicts"
        )


def _odd_rows(scorer: Scorer, schema: ModelSchema, baseline: Baseline | None, tell: Tell) -> list[str]:
    """Return a note for each kind of row that the schema allows and the version fails on."""
    row = trial_columns(schema, baseline, 1)
    notes = []
    for feature in schema.features[:MOST_FEATURES]:
        if feature.nullable:
            tell(f"scoring a row with null for {feature.name!r}")
            if _failure(scorer, {**row, feature.name: [None]}):
                notes.append(f"fails on null for {feature.name!r}, which its schema allows")
        if feature.kind == "categorical":
            tell(f"scoring a row with {UNSEEN} for {feature.name!r}")
            if _failure(scorer, {**row, feature.name: [UNSEEN]}):
                notes.append(f"fails on {UNSEEN} for {feature.name!r}")
    return notes


def _failure(scorer: Scorer, columns: Columns) -> ModelFailedError | None:
    try:
        scorer.score(columns)
    except ModelFailedError as error:
        return error
    return None


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    for module in PRELOADED:
        import_module(module)
    serve(examine)
