"""Pure functions on samples and on mergeable counts, one test per file."""

from mlops_dagster.statistics.bad_event import Stage, bad_event_e_value
from mlops_dagster.statistics.bins import Bins, bins_from_json, bins_to_json
from mlops_dagster.statistics.block_psi import worst_block_psi
from mlops_dagster.statistics.block_rate import BlockRate, block_rate
from mlops_dagster.statistics.categorical_bins import MOST_CATEGORIES, CategoricalBins
from mlops_dagster.statistics.change_point import ChangePoint, change_point
from mlops_dagster.statistics.chi_squared import ChiSquaredResult, chi_squared, chi_squared_from_counts
from mlops_dagster.statistics.classification import (
    ClassificationMetrics,
    ClassScores,
    classification_metrics,
    confusion_counts,
    metrics_from_confusion,
    wilson_interval,
)
from mlops_dagster.statistics.columns import Column, Counts
from mlops_dagster.statistics.day_effects import difference_design_effect, rate_design_effect
from mlops_dagster.statistics.design_effect import (
    INDEPENDENT,
    DesignEffect,
    beside_design_effect,
    design_effect,
    ks_design_effect,
)
from mlops_dagster.statistics.difference import days_differ, difference_e_value
from mlops_dagster.statistics.e_values import Alternative, anytime_p, combine
from mlops_dagster.statistics.excess import Pairs, excess_failure_e_value
from mlops_dagster.statistics.expected_performance import Expected, ExpectedPerformance, expected_performance
from mlops_dagster.statistics.histograms import Histogram
from mlops_dagster.statistics.kitagawa import Estimate, RateParts, Sample, gained, rate_parts
from mlops_dagster.statistics.ks import KsResult, ks_from_counts, ks_two_sample
from mlops_dagster.statistics.macro_f1 import macro_f1_interval, macro_f1_under
from mlops_dagster.statistics.multiple import benjamini_hochberg
from mlops_dagster.statistics.numeric_bins import NumericBins
from mlops_dagster.statistics.paired import paired_e_value
from mlops_dagster.statistics.psi import coarsen, psi, psi_from_counts, psi_groups, psi_noise, psi_of_groups, psi_pvalue
from mlops_dagster.statistics.rate import rate_e_value
from mlops_dagster.statistics.rate_change import RateChange, rate_change_e_value, rate_upper_bound
from mlops_dagster.statistics.rate_change_time import HORIZON, days_to_proof
from mlops_dagster.statistics.share import most_by_chance

__all__ = [
    "HORIZON",
    "INDEPENDENT",
    "MOST_CATEGORIES",
    "Alternative",
    "Bins",
    "BlockRate",
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
    "Histogram",
    "KsResult",
    "NumericBins",
    "Pairs",
    "RateChange",
    "RateParts",
    "Sample",
    "Stage",
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
    "excess_failure_e_value",
    "expected_performance",
    "gained",
    "ks_design_effect",
    "ks_from_counts",
    "ks_two_sample",
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
    "wilson_interval",
    "worst_block_psi",
]
