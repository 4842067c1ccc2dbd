"""The command line every contestant's client side has: set up, clean, and put the one job into its queue in the measured ways.

Imported in both environments: knows neither the product nor any peer.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """`single(n, enqueued_at, sleep)`: one job in a transaction of its own. `bulk(numbers, sleep)`: the quickest way it offers for many.

    `enqueued_at`: seconds since the epoch, or None. `sleep`: how long the job takes, in seconds. `setup`: creates tables, once.
    `clean`: empties the queue.
    """

    setup: Callable[[], object]
    clean: Callable[[], object]
    single: Callable[[int, float | None, float], object]
    bulk: Callable[[Sequence[int], float], object]

    def main(self) -> None:
        """Do what the command line says; print what was measured as one line of JSON."""
        match sys.argv[1:]:
            case ["setup"]:
                self.setup()
            case ["clean"]:
                self.clean()
            case ["single", count]:
                self.single(-1, None, 0)  # connected from here on
                started = time.perf_counter()
                for n in range(int(count)):
                    self.single(n, None, 0)
                _tell(seconds=time.perf_counter() - started)
            case ["bulk", count, sleep]:
                numbers = range(int(count))
                started = time.perf_counter()
                self.bulk(numbers, float(sleep))
                _tell(seconds=time.perf_counter() - started)
            case ["pickup", count, gap]:
                for n in range(int(count)):
                    # Irregular, so that no poll interval is hit in step.
                    time.sleep(float(gap) * random.uniform(0.5, 1.5))
                    self.single(n, time.time(), 0)
            case _:
                raise SystemExit("setup | clean | single COUNT | bulk COUNT SLEEP | pickup COUNT GAP")


def _tell(**measured: float) -> None:
    print(json.dumps(measured))
