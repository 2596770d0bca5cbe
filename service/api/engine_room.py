"""Where the engine works, so that the loop that serves every caller is never blocked."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class EngineRoom:
    """A few threads; what waits for one is given up when the caller's deadline passes."""

    def __init__(self, worker_count: int) -> None:
        self._threads = ThreadPoolExecutor(worker_count, thread_name_prefix="engine")

    async def ask(self, question: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        """Return what ``question`` answers, computed in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: question(*args, **kwargs))

    def close(self) -> None:
        """Let what has begun finish."""
        self._threads.shutdown(wait=True, cancel_futures=True)
