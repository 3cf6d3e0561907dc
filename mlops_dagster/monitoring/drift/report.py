"""The drift report: the findings on each feature, on the score and on the whole window; as numbers and as a table."""

from dataclasses import dataclass, replace

from mlops_dagster.documents.texts import counted
from mlops_dagster.monitoring.policy import DriftPolicy, Verdict
from mlops_dagster.statistics import KsResult


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """The drift of one feature: its PSI against the baseline, and the PSI that chance alone may reach."""

    name: str
    psi: float | None  # None without rows
    noise: float | None  # None with too few rows
    verdict: Verdict
    report_only: bool
    independent_rows: float
    """The number of independent observations in the window's rows: rows that share a cause count as one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """The drift of the scores from those of the evaluation: a harmful drift moves them long before any label comes."""

    ks: KsResult | None
    """None without scores, like the other numbers."""
    noise: float | None
    """The distance D that chance alone may reach."""
    psi: float | None
    verdict: Verdict
    reason: str = ""

    @property
    def elevated(self) -> bool:
        """True if the scores have moved by more than the policy's limit and by more than chance."""
        return self.verdict in (Verdict.MONITOR, Verdict.RETRAIN)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The drift of all features and the score of a window; `verdict` is the gravest of those not report_only."""

    verdict: Verdict
    rows: int
    features: tuple[FeatureDrift, ...]
    score: ScoreDrift
    policy: DriftPolicy
    """The policy whose limits were applied."""
    reason: str = ""
    """The reason why the verdict is not that of the features; empty if it is."""

    def withheld(self, reason: str) -> "DriftReport":
        """Return the same numbers with the verdict INCONCLUSIVE, so that they start nothing."""
        return replace(self, verdict=Verdict.INCONCLUSIVE, reason=reason)

    @property
    def drifted(self) -> tuple[str, ...]:
        """The features whose drift asks for retraining."""
        return tuple(each.name for each in self.features if each.verdict is Verdict.RETRAIN and not each.report_only)

    @property
    def moved(self) -> bool:
        """True if a feature, reported only or not, or the scores have moved; a withheld verdict changes nothing."""
        return self.score.elevated or any(each.verdict in (Verdict.MONITOR, Verdict.RETRAIN) for each in self.features)

    @property
    def worst_psi(self) -> float | None:
        """The largest PSI of a feature that is not report_only and has enough rows; None without one."""
        told = (each.psi for each in self.features if not each.report_only and each.noise is not None)
        return max((psi for psi in told if psi is not None), default=None)

    @property
    def why(self) -> str:
        """The verdict with its numbers, in a sentence."""
        return self.reason or f"{self._of_features()}; {self._of_scores()}"

    def headline(self) -> dict[str, float]:
        """Return the two numbers that decide, to be plotted over time; unknown ones are left out."""
        found = {"worst_psi": self.worst_psi, "ks": self.score.ks and self.score.ks.statistic}
        return {name: round(value, 4) for name, value in found.items() if value is not None}

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them; `retraining.DriftSignal` reads them back."""
        return {
            "verdict": self.verdict.value,
            "reason": self.why,
            **({"withheld": self.reason} if self.reason else {}),
            "rows": self.rows,
            **self.headline(),
            "drifted": list(self.drifted),
            "inconclusive": [each.name for each in self.features if each.verdict is Verdict.INCONCLUSIVE],
            "verdicts": {each.name: each.verdict.value for each in self.features},
            "reasons": {each.name: each.reason for each in self.features if each.reason},
            "report_only": [each.name for each in self.features if each.report_only],
            "psi": {each.name: _rounded(each.psi) for each in self.features},
            "psi_noise": {each.name: _rounded(each.noise) for each in self.features},
            "independent_rows": {each.name: round(each.independent_rows, 1) for each in self.features},
            "limits": {"psi": self.policy.retrain, "psi_monitor": self.policy.monitor, "ks": self.policy.ks},
            "ks_noise": _rounded(self.score.noise),
            "score_psi": _rounded(self.score.psi),
            "score_verdict": self.score.verdict.value,
            "score_elevated": self.score.elevated,
            "score_reason": self.score.reason,
        }

    def table(self) -> list[dict[str, str | float | None]]:
        """Return a row for each feature, the largest PSI first: each number next to its limit."""
        return [
            {
                "feature": each.name,
                "PSI": _rounded(each.psi),
                "noise": _rounded(each.noise),
                "verdict": each.verdict.value,
                "why": "; ".join(filter(None, ["report_only" if each.report_only else "", each.reason])),
            }
            for each in sorted(self.features, key=lambda each: -(each.psi or 0))
        ]

    def _of_features(self) -> str:
        judged = [each for each in self.features if not each.report_only]
        grave = [each for each in judged if each.verdict in (Verdict.RETRAIN, Verdict.MONITOR)]
        if grave:
            limit = self.policy.retrain if self.drifted else self.policy.monitor
            worst = [each for each in grave if each.name in self.drifted] or grave
            shown = sorted(worst, key=lambda each: -(each.psi or 0))[:_SHOWN]
            more = f" and {len(worst) - len(shown)} more" if len(worst) > len(shown) else ""
            names = ", ".join(f"{each.name} has a PSI of {_text(each.psi)}" for each in shown)
            return f"{names}{more}, over {limit:g}"
        unknown = [each for each in judged if each.verdict is Verdict.INCONCLUSIVE]
        if unknown:
            first, features = unknown[0], counted(len(judged), "features")
            return f"{len(unknown)} of {features} cannot be told, such as {first.name}: {first.reason}"
        return f"no PSI is over {self.policy.monitor:g}, the largest is {_text(self.worst_psi)}"

    def _of_scores(self) -> str:
        score = self.score
        distance = f"the scores' distance D is {_text(score.ks and score.ks.statistic)}"
        held = f"limit {self.policy.ks:g}, noise {_text(score.noise)}, PSI {_text(score.psi)}"
        why = f": {score.reason}" if score.reason else ""
        return f"{distance} ({held}), {score.verdict}{why}"


_SHOWN = 3
"""The number of features that a sentence names at most."""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
