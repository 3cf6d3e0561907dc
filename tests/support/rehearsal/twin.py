"""A project of a team's own, made up: a table of payments, a trainer that reads it, and a short policy."""

from pathlib import Path

import numpy as np
import pandas as pd

MODEL = "twin-payments"
PACKAGE = "twin_payments"
FIRST = pd.Timestamp("2026-01-01", tz="UTC")
DAYS_OF_TRAINING = 5

POLICY = """\
shadow_hours: 1
    soak_hours: 1
    min_canary_hours: 4
    deadline_hours: 36
    bake_hours: 2
    paired_share: 1.0
    min_shadow_requests: 20
    min_step_requests: 1
    min_step_paired: 20
    rows_per_observation: 1
    slow_ms: 5000
"""

FILES = {
    "workspace.yaml": f"load_from: [{{python_module: {PACKAGE}.definitions}}]\n",
    "pyproject.toml": (
        '[project]\nname = "twin"\nversion = "0"\n[tool.dg]\ndirectory_type = "project"\n'
        f'[tool.dg.project]\nroot_module = "{PACKAGE}"\n'
    ),
    f"{PACKAGE}/__init__.py": "",
    f"{PACKAGE}/defs/__init__.py": "",
    f"{PACKAGE}/definitions.py": (
        "from pathlib import Path\nimport dagster as dg\n"
        "from mlops_dagster.components import load_from_defs_folder\n\n@dg.definitions\ndef defs():\n"
        "    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    ),
    f"{PACKAGE}/defs/shared.py": (
        "import dagster as dg\nfrom mlops_dagster.defs import alert_delivery, alerts, catalogue, resources, retention\n"
        "shared = dg.Definitions.merge(\n"
        "    resources.shared, dg.load_definitions_from_modules([alert_delivery, alerts, catalogue, retention]))\n"
    ),
    f"{PACKAGE}/trainer.py": """\
from pathlib import Path

from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(
        Feature(name="amount", kind="numeric"),
        Feature(name="age", kind="numeric"),
        Feature(name="country", kind="categorical"),
    ),
    task=Classification(classes=("fine", "fraud")),
)


def training_set(start, end):
    import pandas as pd

    rows = pd.read_parquet(Path(__file__).parent / "archive.parquet")
    rows = rows[(rows["event_time"] >= start) & (rows["event_time"] < end)]
    return rows[[*SCHEMA.names, "label", "event_time"]].reset_index(drop=True)


def estimator():
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    codes = OneHotEncoder(handle_unknown="ignore")
    scaled = make_column_transformer((codes, ["country"]), (StandardScaler(), ["amount", "age"]))
    return make_pipeline(scaled, LogisticRegression())
""",
    f"{PACKAGE}/defs/model/defs.yaml": f"""\
type: mlops_dagster.components.ModelLifecycle
attributes:
  model: {MODEL}
  trainer: {PACKAGE}.trainer
  owners: ["team:payments"]
  training: {{dataset: made-up payments, window_days: {DAYS_OF_TRAINING}, evaluation_days: 2}}
  card: {{intended_use: Tests., failure_modes: [None.], contacts: [me], fairness_attribute: country}}
  gates: {{min_micro_f1: 0.8}}
  retraining: {{on_drift: false, on_concept_drift: false, cadence: null}}
  rollout:
    {POLICY}""",
}


def payments(days: float, a_day: int, *, since: pd.Timestamp = FIRST, seed: int = 7) -> pd.DataFrame:
    """Payments in order of time, each with an id, a key and its label a while later: fraud is large and from XX."""
    rng = np.random.default_rng(seed)
    rows = int(days * a_day)
    amount = rng.lognormal(3, 1, rows).round(2)
    country = rng.choice(["AT", "DE", "FR", "XX"], rows, p=[0.3, 0.3, 0.25, 0.15])
    odds = 2.0 * (np.log(amount) - 3.2) + np.where(country == "XX", 6.0, -2.5)
    fraud = rng.random(rows) < 1 / (1 + np.exp(-2.5 * odds))
    times = since + pd.to_timedelta(np.sort(rng.integers(0, int(days * 86_400), rows)), unit="s")
    return pd.DataFrame(
        {
            "prediction_id": [f"p-{seed}-{number}" for number in range(rows)],
            "event_time": times,
            "key": [f"card-{number}" for number in rng.integers(0, rows, rows)],
            "amount": amount,
            "age": rng.normal(45, 12, rows).round(),
            "country": country,
            "label": np.where(fraud, "fraud", "fine"),
            "known_at": times + pd.to_timedelta(rng.integers(5, 50, rows), unit="min"),
        }
    )


def write_project(folder: Path, rows: pd.DataFrame) -> None:
    """The project in `folder`; its trainer's archive is `rows`."""
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    rows.to_parquet(folder / PACKAGE / "archive.parquet")
