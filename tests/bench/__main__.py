"""`make bench`: every figure of speed that the README states, printed by the code that it speaks of."""

from collections.abc import Callable, Iterator

from tests.bench import append, engine, simulation

REPORTS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("Engine, in process", engine.report),
    ("Simulation of the scheduler, a thousand requests a question", simulation.report),
    ("Store, against pgbench in the same run", append.report),
)

for heading, report in REPORTS:
    print(heading)
    for line in report():
        print(f"  {line}", flush=True)
