"""The optional parts of this package: which extra of `pip install "mlops-dagster[EXTRA]"` brings which modules."""

from importlib.util import find_spec
from typing import Final

from mlops_dagster.errors import MissingExtraError

MODULES: Final = {
    "apprise": ("apprise",),
    "cards": ("matplotlib",),
    "catboost": ("catboost",),
    "dagster": ("dagster",),
    "gpu": ("pynvml",),
    "lightgbm": ("lightgbm",),
    "mlflow": ("mlflow",),
    "monitoring": ("evidently", "great_expectations", "whylogs"),
    "onnx": ("onnx", "onnxruntime"),
    "signing": ("model_signing", "OpenSSL"),
    "spark": ("pyspark",),
    "xgboost": ("xgboost",),
}
"""The modules by which each extra is known to be installed."""


def require(extra: str, purpose: str) -> None:
    """Raise MissingExtraError unless the modules of `extra` are installed; nothing is imported.

    `purpose` begins the message: the thing that needs the extra, such as "a model card as HTML".
    """
    for module in MODULES[extra]:
        if find_spec(module) is None:
            raise missing(extra, module, purpose)


def missing(extra: str, module: str, purpose: str) -> MissingExtraError:
    """Return the error that says which extra brings `module`.

    >>> print(missing("cards", "matplotlib", "a model card as HTML"))
    a model card as HTML needs matplotlib, which is not installed; `pip install "mlops-dagster[cards]"`
    """
    return MissingExtraError(
        f'{purpose} needs {module}, which is not installed; `pip install "mlops-dagster[{extra}]"`'
    )


def extra_of(module: str) -> str | None:
    """Return the extra that brings a module, named by its dotted path; None if no extra does.

    >>> extra_of("xgboost.sklearn"), extra_of("churn.trainer")
    ('xgboost', None)
    """
    package = module.partition(".")[0]
    return next((extra for extra, modules in MODULES.items() if package in modules), None)


def is_panic(error: BaseException) -> bool:
    """Return whether `error` is the panic of a library in Rust: not an Exception, and its class cannot be imported."""
    return type(error).__module__ == "pyo3_runtime"
