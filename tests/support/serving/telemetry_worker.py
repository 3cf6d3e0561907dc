"""One process of several that share their metrics: does what each line of its standard input says."""

import json
import sys

from mlops_dagster.predictions import Role
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(
    features=(Feature(name="x", kind="numeric"),),
    task=Classification(classes=tuple(f"class {number}" for number in range(10))),
)
ARMS: tuple[tuple[str, Role], ...] = (
    ("1.0.0", "champion"),
    ("1.1.0", "canary"),
    ("1.0.0", "paired"),
    ("1.1.0", "paired"),
    ("1.2.0", "shadow"),
)


def fill(telemetry: Telemetry, models: int) -> None:
    """Begin the metrics of models with three versions of ten classes each."""
    for number in range(models):
        model = f"model-{number}"
        telemetry.begin(model, [(version, role, SCHEMA) for version, role in ARMS])
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            telemetry.loading(model, version)
            telemetry.loaded(model, version, ready=True)


def main() -> None:
    telemetry = Telemetry(sys.argv[1])
    for line in sys.stdin:
        command, value = line.split()
        if command == "answer":
            telemetry.arm("m", "1.0.0", "champion").answered([0.003] * int(value), ["late"] * int(value))
        elif command == "queue":
            telemetry.queued(int(value))
        elif command == "load":
            telemetry.loaded("m", value, ready=True)
        elif command == "epoch":
            telemetry.in_force("m", int(value))
        elif command == "fill":
            fill(telemetry, int(value))
        told = "" if command == "fill" else telemetry.exposition().decode()
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
