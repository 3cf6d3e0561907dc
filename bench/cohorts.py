"""Many rollouts at once, in which labels come late, of some only, or of days that share causes: in cohorts.

Each look is that of `decide` on what is known by then, for all rollouts in one go; `states.py` turns it into outcomes.
Nothing fails and nothing is slow in these worlds: only accuracy differs.
"""

from functools import cached_property
from typing import Final

import numpy as np

from bench import e_values
from bench.complete import complete_cohorts
from bench.drawing import Known, World, known_of
from bench.e_values import Bools, Floats, Ints, mixed, running, since_start_or_later
from mlops_dagster.predictions.rollups.compared import COHORT_MINUTES
from mlops_dagster.statistics import DesignEffect

DAY: Final = 24 * 60
DOUBT: Final = 2.0


class Cohorts:
    """What grows with every look, and the e-values of it."""

    def __init__(self, world: World, runs: int, rng: np.random.Generator) -> None:
        self.world, self.policy, self.runs, self._rng = world, world.policy, runs, rng
        self._count, self._room = 0, 256
        self._all: Known | None = None
        effects = [world.shared(rng) if world.shared else DesignEffect() for _ in range(runs)]
        self.shared = effects if world.shared else None
        self._rows, self._lasting = (
            np.array(each) for each in zip(*((it.rows, it.lasting) for it in effects), strict=True)
        )
        self._rows_per_day = np.array([each.rows_per_day or np.nan for each in effects])

    def grow(self, weight: Floats) -> None:
        """Add a cohort under these weights of the challengers."""
        drawn = self.world.draw(self._rng, self.runs, self._count)
        new = known_of(self.world, drawn, weight, self._rng, self._count)
        if self._all is None or self._count == self._room:
            self._room *= 2
            known, self._all = self._all, Known(*(np.zeros((*each.shape, self._room), each.dtype) for each in new))
            if known is not None:
                for grown, before in zip(self._all, known, strict=True):
                    grown[..., : self._count] = before
        for all_of_it, each in zip(self._all, new, strict=True):
            all_of_it[..., self._count] = each
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def look(self) -> "Look":
        """Look at the end of the last cohort."""
        return Look(self, Known(*(each[..., : self._count] for each in self._all or ())), self._count)

    def rows_per_observation(self, units: Ints, minutes: int) -> Floats:
        """Of each rollout, at its traffic."""
        stated = self.policy.rows_per_observation
        if stated is not None or self.shared is None:
            return np.full(self.runs, stated or 1.0)
        per_day = units / max(minutes / DAY, 1.0)
        at_another = 1 + (self._rows - 1) * per_day / self._rows_per_day
        rows = np.where(np.isnan(self._rows_per_day), self._rows, at_another)
        return np.asarray(1 + (rows - 1) * (1 + self._lasting) / (1 - self._lasting))


class Look:
    """All rollouts at the end of a cohort."""

    def __init__(self, of: Cohorts, known: Known, count: int) -> None:
        self.of, self.policy, self.world, self.known, self.count = of, of.policy, of.world, known, count
        self.minutes = of.world.minutes * count
        arms = zip((known.canary, known.champion), of.world.arm_delays, strict=True)
        if of.policy.uses_pairs:
            self.units, its_labels = known.units, [known.pairs.sum(axis=0)]
            arm_units, delays = [known.units], [0.0]
        else:
            (canary, late), (champion, later) = arms
            arm_units, its_labels, delays = (
                [canary[0].sum(1), champion[0].sum(1)],
                [canary[1], champion[1]],
                [late, later],
            )
            self.units = sum(arm_units, np.zeros_like(known.units))
        hours = of.world.minutes / 60
        self.here = [known.comes + delay / hours <= count for delay in delays]
        labels = [(each * here).sum(axis=1) for each, here in zip(its_labels, self.here, strict=True)]
        self.labelled = sum(labels, np.zeros_like(known.units))
        self.of_arms = list(zip(arm_units, labels, strict=True))
        """Of pairs, or of each arm: units and labels that have come."""
        self.complete = complete_cohorts(of.policy, of.world.minutes, arm_units, labels)
        """How many cohorts are complete, of each rollout."""
        self.counts = np.arange(count) < self.complete[:, None]
        self.rows = of.rows_per_observation(self.units.sum(axis=1), self.minutes)

    @property
    def age(self) -> Ints:
        """The last minute whose labels are complete."""
        if self.policy.labels == "complaints":
            return self.complete * self.world.minutes - 1
        return np.maximum((self.complete - 1) * self.world.minutes + COHORT_MINUTES - 1, 0)

    def accuracy(self) -> tuple[Floats, Floats, Floats]:
        """The e-values of worse, not worse and superior; the latter are 1 in doubt."""
        worse, not_worse, superior = (
            sum(map(self._worse, gains := self._gains("worse"))) / len(gains),
            np.min([self._whole(each) for each in self._gains("not_worse")], axis=0),
            np.min([self._whole(each) for each in self._gains("superior")], axis=0),
        )
        doubt = self.doubt
        return worse, np.where(doubt, 1.0, not_worse), np.where(doubt, 1.0, superior)

    @cached_property
    def doubt(self) -> Bools:
        """Whether the days of the rollout differ by more than was reckoned with, which promotes nothing."""
        none = np.zeros(self.of.runs, dtype=np.bool_)
        return self.days_differ if self.policy.uses_pairs else none

    def in_watch(self, since: Ints) -> Floats:
        """The same of worse, of cohorts from `since` on."""
        gains = [each * (np.arange(self.count) >= since[:, None]) for each in self._gains("worse")]
        return sum(map(self._whole, gains)) / len(gains)

    def pairs_since(self, since: Ints) -> Ints:
        """Complete pairs of the cohorts from `since` on."""
        return np.asarray((self._pairs.sum(axis=(0, 2)) * (np.arange(self.count) >= since[:, None])).sum(axis=1))

    @cached_property
    def _pairs(self) -> Ints:
        return self.known.pairs * self.here[0] * self.counts[:, None]

    @cached_property
    def arms(self) -> tuple[Ints, Ints]:
        """Of the canary and the champion: answers with a label that is complete, and wrong ones; the axes as above."""
        canary, champion = (
            (arm[1:] * here * self.counts[:, None]).sum(axis=2)
            for arm, here in zip((self.known.canary, self.known.champion), self.here, strict=True)
        )
        return canary, champion

    def _gains(self, what: str) -> list[Floats]:
        """Of each loss that is compared; the axes: bets, rollouts, cohorts."""
        if not self.policy.uses_pairs:
            (_, canary), (_, champion) = self.arms
            max_ratio = 1.0 if what == "superior" else self.policy.max_ratio.wrong
            share = np.where((self.known.weight > 0) & (self.known.weight < 1), self.known.weight, 0.5)
            return [
                e_values.of_relative(canary, champion, share, max_ratio, worse=what == "worse") / self.rows[:, None]
            ]
        margin, shares = 0.0 if what == "superior" else self.policy.margin, self.world.shares
        alike = np.ones(len(self.world.classes))
        if not self.policy.compares_strata(shares):
            return [self._of_pairs(what, margin, alike)]
        sizes = min(shares.values()) / np.array([shares[name] for name in self.world.classes])
        balanced = self._of_pairs(what, margin * len(shares) * min(shares.values()), sizes)
        return [balanced, *([self._of_pairs(what, self.policy.margin, alike)] if self.policy.loss == "auto" else [])]

    def _of_pairs(self, what: str, margin: float, sizes: Floats) -> Floats:
        gains = e_values.of_difference(*self._pairs, margin, worse=what == "worse", size=sizes[:, None])
        return np.asarray(gains.sum(axis=2) / self.rows[:, None])

    def _whole(self, gains: Floats) -> Floats:
        return mixed(gains.sum(axis=-1))

    def _worse(self, gains: Floats) -> Floats:
        sums, runs = running(gains), np.arange(self.of.runs)

        def since(start: Ints) -> Floats:
            first = np.minimum(-(-start // self.world.minutes), self.count)
            return mixed(sums[:, runs, -1] - sums[:, runs, first])

        return since_start_or_later(since, self.age)

    @property
    def proofs(self) -> Ints:
        """How many labels count: complete pairs, or those of the answers of both arms."""
        if self.policy.uses_pairs:
            return np.asarray(self._pairs.sum(axis=(0, 2, 3)))
        return np.asarray(sum(arm[0].sum(axis=1) for arm in self.arms))

    def unseen_class(self) -> Bools:
        """`unseen_class` of all rollouts."""
        by_class, names = self._pairs.sum(axis=(0, 3)), self.world.classes
        pairs, shares = by_class.sum(axis=1), self.world.shares
        if not self.policy.uses_pairs:
            return np.zeros(self.of.runs, dtype=np.bool_)
        seen = by_class / np.maximum(pairs, 1)[:, None]
        expected = np.array([shares.get(name, 0.0) for name in names])
        unseen = ((expected * pairs[:, None] >= 10) & (seen < expected / 3)).any(axis=1)
        if not self.policy.compares_strata(shares):
            unseen |= np.where(by_class > 0, seen, 1.0).min(axis=1) <= self.policy.margin
        return np.asarray(unseen & (pairs > 0))

    @cached_property
    def days_differ(self) -> Bools:
        """`days_differ` of all rollouts."""
        return e_values.days_differ(self._pairs.sum(axis=2), self.world.minutes, DOUBT * self.rows)
