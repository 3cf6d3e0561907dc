"""A process that delivers until it is killed."""

import os
import time
from collections.abc import Mapping

from mlops_dagster.stores import Stores


def deliver_for_ever(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
    delivery = Stores().delivery
    assert delivery is not None
    while True:
        for name in delivery.channels:
            delivery.deliver(name)
        time.sleep(0.01)
