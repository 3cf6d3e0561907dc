"""What Evidently says of many shapes of samples, as JSON: a program, since Evidently takes seconds to import.

python -m tests.support.evidently_numbers
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd


def shapes() -> dict[str, tuple[pd.Series, pd.Series]]:
    """Reference and current, by name."""
    rng = np.random.default_rng(11)
    number, missing = rng.normal(size=3000), np.nan
    pairs = {
        "smooth": (rng.beta(2, 2, size=3000), rng.beta(2.5, 2, size=2000)),
        "constant": (np.full(100, 7.0), np.full(50, 7.0)),
        "few rows": ([1.0, 2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 2.0, 3.0]),
        "heavy tails": (rng.standard_cauchy(2000), 2 * rng.standard_cauchy(1500)),
        "all missing": ([missing] * 10, [missing] * 10),
        "some missing": (np.where(number > 1, missing, number), np.where(number > 0.8, missing, number)),
        "inf": ([*number[:100], np.inf], [*number[100:150], -np.inf, np.inf]),
        "large integers": ([2**62, 2**62, 5, 5, -(2**62)] * 10, [2**62, 5, 5, -(2**62)] * 10),
        "too large integers": ([10**30, 5, 5] * 10, [10**30, 10**30, 5] * 10),
        "booleans": ([True] * 300 + [False] * 100, [True] * 50 + [False] * 30),
        "strings": (list("aaaab") * 2000, list("aaabb") * 4),
        "new category": (list("aaaab") * 20, list("aaabc") * 20),
        "new number": ([0.0, 1.0] * 50, [0.0] * 50 + [1.0] * 30 + [5.0] * 20),
        "dates": (pd.date_range("2013-01-01", periods=300), pd.date_range("2013-03-01", periods=200)),
    }
    return {name: (pd.Series(before), pd.Series(after)) for name, (before, after) in pairs.items()}


TEXTS = ("booleans", "strings", "new category")


def main() -> None:
    warnings.simplefilter("ignore")
    from evidently.legacy.calculations.stattests import chi_stat_test, ks_stat_test, psi_stat_test
    from evidently.legacy.calculations.stattests.registry import StatTest
    from evidently.legacy.core import ColumnType

    def tell(test: StatTest, before: pd.Series, after: pd.Series, kind: ColumnType) -> float | str:
        try:
            return float(test(before, after, kind, None).drift_score)
        except Exception as error:
            return type(error).__name__

    found = {}
    for name, (before, after) in shapes().items():
        kind = ColumnType.Categorical if name in TEXTS else ColumnType.Numerical
        other = chi_stat_test if name in TEXTS else ks_stat_test
        found[name] = [tell(psi_stat_test, before, after, kind), tell(other, before, after, kind)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
