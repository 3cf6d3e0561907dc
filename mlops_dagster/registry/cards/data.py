"""What a version was made from, and what checked it."""

from typing import Self

from pydantic import AwareDatetime, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import NonNegative


class Provenance(StrictModel):
    """The training data."""

    dataset: str
    digest: str
    start: AwareDatetime
    end: AwareDatetime
    rows: NonNegative


class Validation(StrictModel):
    """What held the training data against expectations, and what it found.

    >>> Validation(suite="schema-12ab", expectations=34, rows=40407, passed=True).failures
    ()
    """

    suite: str
    expectations: NonNegative
    rows: NonNegative
    passed: bool
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """Over a limit, though by chance maybe: they fail nothing."""
    errors: tuple[str, ...] = ()
    """What could not be evaluated: it fails nothing, and nothing has passed."""

    @model_validator(mode="after")
    def _passed_with_evidence(self) -> Self:
        if self.passed and (self.failures or self.errors or not self.rows or not self.expectations):
            raise ValueError(
                f"a suite of {self.expectations} expectations with {len(self.failures)} failures and "
                f"{len(self.errors)} errors on {self.rows} rows "
                "has not passed; say passed=False"
            )
        return self
