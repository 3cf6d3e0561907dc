"""A process that delivers until it is killed: `python -m tests.support.channels.deliver`, with MLOPS_* set."""

import time

from mlops_dagster.stores import Stores


def main() -> None:
    delivery = Stores().delivery
    assert delivery is not None
    while True:
        for name in delivery.channels:
            delivery.deliver(name)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
