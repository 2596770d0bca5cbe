"""A process that writes through a store of its own, as one replica of the service would.

Run as ``python -m tests.store.writer URL WRITERS PLANS``. One line per acknowledged write, written when the
acknowledgement is in hand: ``plan_id revision position request_id``.
"""

import asyncio
import sys
from uuid import uuid4

from service.store import Store
from tests.planning.example import ADA, CHECK, DOES_NOT_FIT, SMALLER_CHECK, draft, evaluation, revise
from tests.store.writing import request_by, write


async def main(url: str, writer_count: int, plan_count: int) -> None:
    """Let ``writer_count`` writers draft ``plan_count`` plans each, and revise every one."""
    async with await Store.open(url) as store:
        await asyncio.gather(*(_write(store, plan_count) for _ in range(writer_count)))


async def _write(store: Store, plan_count: int) -> None:
    for _ in range(plan_count):
        plan_id = uuid4()
        revision: int | None = None
        for command in (
            draft(),
            revise(),
            revise(requirements=CHECK, evaluation=evaluation()),
            revise(requirements=SMALLER_CHECK, evaluation=evaluation(DOES_NOT_FIT)),
        ):
            request = request_by(ADA)
            written = await write(store, command, plan_id=plan_id, request=request, expected_revision=revision)
            revision = written.revision
            sys.stdout.write(f"{plan_id} {written.revision} {written.position} {request.request_id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
