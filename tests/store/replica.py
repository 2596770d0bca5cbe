"""A service without a door: commands come in on standard input, acknowledgements go out on standard output.

Run as ``python -m tests.store.replica URL``. Each line in: ``number verb plan_id request_id revision``. Each line
out: ``number revision position``, or ``number unavailable``.
"""

import asyncio
import sys
from uuid import UUID

from domain.planning.plan import Command
from service.store import Store
from service.store.refusal import StoreUnavailable
from tests.planning.example import ADA, CHECK, DOES_NOT_FIT, SMALLER_CHECK, draft, evaluation, revise
from tests.store.writing import request_by, write


def command_for(verb: str, revision: int) -> Command:
    """Draft a plan, or revise it to what it is not: every second revision asks for the same."""
    if verb == "draft":
        return draft()
    if revision % 4:
        return revise(requirements=SMALLER_CHECK, evaluation=evaluation(DOES_NOT_FIT))
    return revise(requirements=CHECK, evaluation=evaluation())


async def answer(store: Store, line: str) -> None:
    """Let one command happen and say what became of it."""
    number, verb, plan_id, request_id, revision = line.split()
    try:
        written = await write(
            store,
            command_for(verb, int(revision)),
            plan_id=UUID(plan_id),
            request=request_by(ADA, request_id=UUID(request_id)),
            expected_revision=None if verb == "draft" else int(revision),
        )
    except StoreUnavailable:
        sys.stdout.write(f"{number} unavailable\n")
    else:
        sys.stdout.write(f"{number} {written.revision} {written.position}\n")
    sys.stdout.flush()


async def opened(url: str) -> Store:
    """Open the store, however long the database takes to come back."""
    while True:
        try:
            return await Store.open(url)
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def main(url: str) -> None:
    """Serve until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with await opened(url) as store, asyncio.TaskGroup() as group:
        async for line in reader:
            group.create_task(answer(store, line.decode()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
