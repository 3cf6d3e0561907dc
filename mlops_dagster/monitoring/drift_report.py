"""What a drift report says: of each feature, of the score, and of the whole window; as numbers, and as a page."""

from dataclasses import dataclass, replace

from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.statistics import KsResult


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature: its PSI against the baseline, and the PSI that chance alone may reach."""

    name: str
    psi: float | None  # None without rows
    noise: float | None  # None with too few rows
    verdict: Verdict
    advisory: bool
    independent_rows: float
    """What the window's rows of it are worth: those that share a cause count together as one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """The scores against those of the evaluation: what a drift that matters moves, long before any label comes."""

    ks: KsResult | None
    """None without scores, as the other numbers."""
    noise: float | None
    """The distance D that chance alone may reach."""
    psi: float | None
    verdict: Verdict
    reason: str = ""

    @property
    def elevated(self) -> bool:
        """Whether they have moved by more than the policy's limit and by more than chance."""
        return self.verdict in (Verdict.MONITOR, Verdict.RETRAIN)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All features and the score of a window. `verdict` is the gravest of those that are not advisory."""

    verdict: Verdict
    rows: int
    features: tuple[FeatureDrift, ...]
    score: ScoreDrift
    policy: DriftPolicy
    """What it was held against."""
    reason: str = ""
    """Why the verdict is not that of the features."""

    def withheld(self, reason: str) -> "DriftReport":
        """The same numbers, of which nothing is to follow."""
        return replace(self, verdict=Verdict.CANNOT_TELL, reason=reason)

    @property
    def drifted(self) -> tuple[str, ...]:
        """The features that ask for retraining."""
        return tuple(each.name for each in self.features if each.verdict is Verdict.RETRAIN and not each.advisory)

    @property
    def worst_psi(self) -> float | None:
        """The largest PSI of a feature that is not advisory and has enough rows; None without one."""
        told = (each.psi for each in self.features if not each.advisory and each.noise is not None)
        return max((psi for psi in told if psi is not None), default=None)

    def headline(self) -> dict[str, float | None]:
        """The two numbers that decide, beside their limits: what is worth a plot over time."""
        return {
            "worst_psi": _rounded(self.worst_psi),
            "psi_limit": self.policy.retrain,
            "ks": _rounded(self.score.ks and self.score.ks.statistic),
            "ks_limit": self.policy.ks,
        }

    def metadata(self) -> dict[str, object]:
        """The numbers as JSON can hold them; `retraining.DriftSignal` reads them back."""
        return {
            "verdict": self.verdict.value,
            **({"reason": self.reason} if self.reason else {}),
            "rows": self.rows,
            "drifted": list(self.drifted),
            "cannot_tell": [each.name for each in self.features if each.verdict is Verdict.CANNOT_TELL],
            "verdicts": {each.name: each.verdict.value for each in self.features},
            "reasons": {each.name: each.reason for each in self.features if each.reason},
            "advisory": [each.name for each in self.features if each.advisory],
            "psi": {each.name: _rounded(each.psi) for each in self.features},
            "psi_noise": {each.name: _rounded(each.noise) for each in self.features},
            "independent_rows": {each.name: round(each.independent_rows, 1) for each in self.features},
            **self.headline(),
            "psi_monitor": self.policy.monitor,
            "ks_noise": _rounded(self.score.noise),
            "score_psi": _rounded(self.score.psi),
            "score_verdict": self.score.verdict.value,
            "score_elevated": self.score.elevated,
            "score_reason": self.score.reason,
        }

    def to_markdown(self) -> str:
        """A table for people, the largest PSI first: each number beside what it is held against."""
        lines = ["| feature | PSI | noise | verdict | why |", "|---|---|---|---|---|"]
        for each in sorted(self.features, key=lambda each: -(each.psi or 0)):
            remarks = "; ".join(filter(None, ["advisory" if each.advisory else "", each.reason]))
            lines.append(f"| {each.name} | {_text(each.psi)} | {_text(each.noise)} | {each.verdict} | {remarks} |")
        score, distance = self.score, self.score.ks and self.score.ks.statistic
        state = ": ".join(filter(None, [str(score.verdict), score.reason]))
        numbers = f"KS D {_text(distance)}, noise {_text(score.noise)}, PSI {_text(score.psi)}"
        lines.append(f"\n{self.rows} rows. Score: {numbers}, {state}.")
        return "\n".join(lines)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
