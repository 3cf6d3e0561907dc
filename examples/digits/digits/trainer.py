"""The trainer: half of scikit-learn's digits, as if they had been labelled one after another, day after day."""

from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from digits import SINCE
from mlops_dagster.clock import in_utc
from mlops_dagster.errors import TrainingDataError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.tasks import Classification

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

Images: TypeAlias = npt.NDArray[np.float64]
"""(images, 64), 0 (paper) to 16 (ink); NaN where the scanner saw nothing."""
Digits: TypeAlias = npt.NDArray[np.str_]

SEED = 2024
NOISE = 1.0
LABELLED_EVERY = timedelta(minutes=48)  # 30 a day
MUCH_INK = 323  # half of the images have more, as the sum of their pixels

PIXELS = tuple(f"pixel_{row}{column}" for row in range(8) for column in range(8))
SCHEMA = ModelSchema(
    features=tuple(Feature(name=name, kind="numeric") for name in PIXELS),
    task=Classification(classes=tuple("0123456789")),
)


def training_set(start: datetime, end: datetime) -> "pd.DataFrame":
    """The images labelled in [start, end): the pixels, `label`, `event_time`, and `ink` for the fairness audit.

    The first came at MLOPS_PARTITIONS_START or `SINCE`, and one every 48 minutes since. After 29.9 days the half is
    through, and each image is scanned anew: a shorter window has none twice. Raises TrainingDataError if there is none.
    """
    import pandas as pd

    begin = datetime.combine(Settings().partitions_start or SINCE, time(), UTC)
    first, last = (max(0, -((begin - in_utc(at)) // LABELLED_EVERY)) for at in (start, end))
    if first >= last:
        raise TrainingDataError(f"no image was labelled from {start:%Y-%m-%d} to {end:%Y-%m-%d}; they begin at {begin}")
    images, digits = archive()
    numbers = np.arange(first, last)
    laps = range(first // len(images), (last - 1) // len(images) + 1)
    scans = np.concatenate([scanned(images, np.random.default_rng((SEED, lap))) for lap in laps])
    scans = scans[numbers - laps[0] * len(images)]
    frame = pd.DataFrame(scans, columns=list(PIXELS))
    return frame.assign(
        label=digits[numbers % len(digits)],
        event_time=[begin + int(number) * LABELLED_EVERY for number in numbers],
        ink=np.where(scans.sum(axis=1) < MUCH_INK, "pale", "bold"),
    )


def estimator() -> "Pipeline":
    """An unfitted classifier that takes a frame with the columns of `SCHEMA`; what is missing is paper to it."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    paper = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return make_pipeline(paper, LogisticRegression(C=1e-3, tol=1e-2, max_iter=200))


def archive() -> tuple[Images, Digits]:
    """The half that is trained on."""
    images, digits = _shuffled()
    return images[::2], digits[::2]


def unseen() -> tuple[Images, Digits]:
    """The half that nobody trains on: the traffic is made of it."""
    images, digits = _shuffled()
    return images[1::2], digits[1::2]


def scanned(images: Images, generator: np.random.Generator) -> Images:
    """Each image as the scanner has it this time: other noise, whole numbers from 0 to 16."""
    return np.clip(np.rint(images + generator.normal(0, NOISE, images.shape)), 0, 16)


@cache
def _shuffled() -> tuple[Images, Digits]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(images))
    return images[order], digits[order].astype(str)
