"""Appends through the store against plain inserts by pgbench, interleaved on one server.

The time that a disk takes to sync swings tenfold between runs of one machine: only the ratio says anything. A write
is a whole command: look the request up, read the plan, decide, append its events with expected revision, request id
and hash chain, keep the read models; a plain insert is one row of the same size and nothing else.
"""

import asyncio
import operator
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import uvloop

from domain.planning.plan import INITIAL, decide
from service.store import Store
from service.store.codec import encode
from service.store.credential import ADMIN, PORT
from service.store.embedded import EmbeddedPostgres
from tests.planning.example import DOES_NOT_FIT, FITS, SMALLER_CHECK, draft, evaluation, revise
from tests.postgres import Cluster, embedded
from tests.store.writing import write

BAR = 0.12
"""Commands per second at 8 writers, as a share of plain inserts by 8 clients."""

ROUNDS = 3
SECONDS = 4
REFERENCE_CLIENTS = 8
EVENTS_OF_A_COMMAND = 2
"""Every command of `writer` appends so many; a plain insert is one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Medians over the rounds, per second."""

    reference: float
    commands: dict[int, float]
    """By number of concurrent writers."""

    ratios: dict[int, float]
    """Median over the rounds of commands as a share of the same round's plain inserts."""


def reference(server: EmbeddedPostgres, row: str) -> float:
    """Return plain inserts per second by `REFERENCE_CLIENTS` clients of pgbench."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        # pgbench takes a colon before a word for a variable.
        literal = row.replace("'", "''").replace(":", ": ")
        script.write_text(f"INSERT INTO plain (data) VALUES ('{literal}');\n")
        done = subprocess.run(
            [
                *(str(server.binaries / "pgbench"), "-n", "-f", str(script), "-T", str(SECONDS), "-M", "prepared"),
                *("-c", str(REFERENCE_CLIENTS), "-j", "2", "-h", str(server.socket_folder), "-p", str(PORT)),
                *("-U", ADMIN, "postgres"),
            ],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": server.credentials.admin},
        )
    found = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


async def commands(store: Store, writers: int) -> float:
    """Return commands per second of ``writers`` that draft plans and revise them."""
    until = time.monotonic() + SECONDS
    counts = await asyncio.gather(*(writer(store, until) for _ in range(writers)))
    return sum(counts) / SECONDS


async def writer(store: Store, until: float) -> int:
    """Draft a plan and revise it three times, over and over; return how many commands were acknowledged."""
    count = 0
    while time.monotonic() < until:
        plan_id = uuid4()
        revision = (await write(store, draft(), plan_id=plan_id)).revision
        for answer in (DOES_NOT_FIT, FITS, DOES_NOT_FIT):
            command = revise(requirements=SMALLER_CHECK, evaluation=evaluation(answer))
            written = await write(store, command, plan_id=plan_id, expected_revision=revision)
            revision = written.revision
            count += 1
        count += 1
    return count


async def measure() -> Figures:
    """Run reference and writers in turn, on a server of their own."""
    _, evaluated = decide(draft(), INITIAL)
    row = encode(evaluated).data
    with embedded() as server:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE plain (id bigserial PRIMARY KEY, data jsonb NOT NULL)")
        database = Cluster(server.admin_url).create("bench")
        references: list[float] = []
        rates: dict[int, list[float]] = {8: [], 32: []}
        async with await Store.open(database.service_url) as store:
            for _ in range(ROUNDS):
                references.append(await asyncio.to_thread(reference, server, row))
                for writers, found in rates.items():
                    found.append(await commands(store, writers))
            assert await store.verify() == ()
    return Figures(
        reference=statistics.median(references),
        commands={writers: statistics.median(found) for writers, found in rates.items()},
        ratios={
            writers: statistics.median(map(operator.truediv, found, references)) for writers, found in rates.items()
        },
    )


def report() -> Iterator[str]:
    """Yield one line per figure."""
    figures = uvloop.run(measure())
    yield f"plain inserts, {REFERENCE_CLIENTS} clients of pgbench:   {figures.reference:8.0f} /s"
    for writers, rate in figures.commands.items():
        ratio = figures.ratios[writers]
        yield (
            f"commands, {writers:2} concurrent writers:      {rate:8.0f} /s   {ratio:.2f} of plain inserts"
            f" ({EVENTS_OF_A_COMMAND * ratio:.2f} in events)"
        )
    yield f"bar at 8 writers:                    {BAR:>20.2f} of plain inserts"
