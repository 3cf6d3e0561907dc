"""Pure statistical functions on samples and on mergeable counts, one test per file."""

from mlops_dagster.statistics.bins.bins import Bins, bins_from_json, bins_to_json
from mlops_dagster.statistics.bins.categorical import MOST_CATEGORIES, CategoricalBins
from mlops_dagster.statistics.bins.columns import Column, Counts
from mlops_dagster.statistics.bins.histogram import Histogram
from mlops_dagster.statistics.bins.numeric import NumericBins
from mlops_dagster.statistics.design_effects.block_rate import BlockRate, block_rate
from mlops_dagster.statistics.design_effects.change_point import ChangePoint, change_point
from mlops_dagster.statistics.design_effects.day_effects import difference_design_effect, rate_design_effect
from mlops_dagster.statistics.design_effects.design_effect import (
    INDEPENDENT,
    DesignEffect,
    beside_design_effect,
    design_effect,
    ks_design_effect,
)
from mlops_dagster.statistics.distances.block_psi import worst_block_psi
from mlops_dagster.statistics.distances.chi_squared import ChiSquaredResult, chi_squared, chi_squared_from_counts
from mlops_dagster.statistics.distances.ks import KsResult, ks_from_counts, ks_two_sample
from mlops_dagster.statistics.distances.multiple_testing import benjamini_hochberg
from mlops_dagster.statistics.distances.psi import (
    coarsen,
    psi,
    psi_from_counts,
    psi_groups,
    psi_noise,
    psi_of_groups,
    psi_pvalue,
)
from mlops_dagster.statistics.e_values.bad_event import CanaryStep, bad_event_e_value
from mlops_dagster.statistics.e_values.combination import Alternative, anytime_p, combine
from mlops_dagster.statistics.e_values.difference import days_differ, difference_e_value
from mlops_dagster.statistics.e_values.e_detector import LogEvidence, fall, log_evidence, rise
from mlops_dagster.statistics.e_values.excess import Pairs, excess_failure_e_value
from mlops_dagster.statistics.e_values.paired import paired_e_value
from mlops_dagster.statistics.e_values.rate import rate_e_value
from mlops_dagster.statistics.e_values.rate_change import RateChange, rate_change_e_value, rate_upper_bound
from mlops_dagster.statistics.e_values.rate_change_time import HORIZON, days_to_proof
from mlops_dagster.statistics.metrics.binomial_limit import most_by_chance
from mlops_dagster.statistics.metrics.classification import (
    ClassificationMetrics,
    ClassScores,
    classification_metrics,
    confusion_counts,
    metrics_from_confusion,
)
from mlops_dagster.statistics.metrics.difference_interval import difference_interval
from mlops_dagster.statistics.metrics.expected_performance import Expected, ExpectedPerformance, expected_performance
from mlops_dagster.statistics.metrics.macro_f1 import macro_f1_interval, macro_f1_under
from mlops_dagster.statistics.metrics.rate_decomposition import Estimate, GroupSample, RateParts, gained, rate_parts
from mlops_dagster.statistics.metrics.wilson import wilson_interval

__all__ = [
    "HORIZON",
    "INDEPENDENT",
    "MOST_CATEGORIES",
    "Alternative",
    "Bins",
    "BlockRate",
    "CanaryStep",
    "CategoricalBins",
    "ChangePoint",
    "ChiSquaredResult",
    "ClassScores",
    "ClassificationMetrics",
    "Column",
    "Counts",
    "DesignEffect",
    "Estimate",
    "Expected",
    "ExpectedPerformance",
    "GroupSample",
    "Histogram",
    "KsResult",
    "LogEvidence",
    "NumericBins",
    "Pairs",
    "RateChange",
    "RateParts",
    "anytime_p",
    "bad_event_e_value",
    "benjamini_hochberg",
    "beside_design_effect",
    "bins_from_json",
    "bins_to_json",
    "block_rate",
    "change_point",
    "chi_squared",
    "chi_squared_from_counts",
    "classification_metrics",
    "coarsen",
    "combine",
    "confusion_counts",
    "days_differ",
    "days_to_proof",
    "design_effect",
    "difference_design_effect",
    "difference_e_value",
    "difference_interval",
    "excess_failure_e_value",
    "expected_performance",
    "fall",
    "gained",
    "ks_design_effect",
    "ks_from_counts",
    "ks_two_sample",
    "log_evidence",
    "macro_f1_interval",
    "macro_f1_under",
    "metrics_from_confusion",
    "most_by_chance",
    "paired_e_value",
    "psi",
    "psi_from_counts",
    "psi_groups",
    "psi_noise",
    "psi_of_groups",
    "psi_pvalue",
    "rate_change_e_value",
    "rate_design_effect",
    "rate_e_value",
    "rate_parts",
    "rate_upper_bound",
    "rise",
    "wilson_interval",
    "worst_block_psi",
]
