"""The training data of a version, and the suite that validated it."""

from typing import Self

from pydantic import AwareDatetime, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import NonNegative


class Provenance(StrictModel):
    """The training data of a version."""

    dataset: str
    digest: str
    start: AwareDatetime
    end: AwareDatetime
    rows: NonNegative


class Validation(StrictModel):
    """The suite that the training data was validated against, and its findings.

    >>> Validation(suite="schema-12ab", expectations=34, rows=40407, passed=True).failures
    ()
    """

    suite: str
    expectations: NonNegative
    rows: NonNegative
    passed: bool
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """Findings over a limit that chance may explain: they fail nothing."""
    errors: tuple[str, ...] = ()
    """Expectations that could not be evaluated: they fail nothing, but with one the data has not passed."""

    @model_validator(mode="after")
    def _passed_with_evidence(self) -> Self:
        if self.passed and (self.failures or self.errors or not self.rows or not self.expectations):
            raise ValueError(
                f"a suite of {self.expectations} expectations with {len(self.failures)} failures and "
                f"{len(self.errors)} errors on {self.rows} rows "
                "has not passed; say passed=False"
            )
        return self
