"""`make demo`: ten weeks in the life of the flights' model, over the flights of 2013, each at its own time.

    python examples/flights/rehearse_flights.py [--home .mlops/demo]

One of its releases is bad: fitted on delays in hours where the traffic has minutes.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from flights.trainer import recorded_traffic
from mlops_dagster.errors import MlopsError
from mlops_dagster.rehearsal import BadRelease, Scenario, rehearse

START, UNTIL = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 5, 11, tzinfo=UTC)
IN_HOURS = BadRelease("units", ("dep_delay",), 1 / 60, at=datetime(2013, 4, 3, 12, tzinfo=UTC))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".mlops/demo"), help="where it keeps everything; made anew")
    options = parser.parse_args()
    scenario = Scenario(
        model="flights-delay",
        requests=recorded_traffic(START, UNTIL),
        start=START,
        until=UNTIL,
        bad_releases=(IN_HOURS,),
        project=Path(__file__).parent,
    )
    try:
        rehearse(scenario, options.home)
    except MlopsError as error:
        print(f"failed ({error.code}): {error.message}", file=sys.stderr)  # noqa: T201  # it is a program
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
