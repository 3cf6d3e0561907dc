"""One process of several that share their metrics: does what each line of its standard input says."""

import json
import sys

from mlops_dagster.serving.telemetry.telemetry import Telemetry


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
        sys.stdout.write(json.dumps(telemetry.exposition().decode()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
