"""An event loop in a thread of its own, so that synchronous callers can use an async client.

Belongs here: crossing from threads to the loop. It works under any caller, one inside a running
loop included, and keeps one limit on concurrency for all threads of the process.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class LoopThread:
    """Starts with the first `run`, ends with `close`; a daemon, so that it never delays an exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run to the end and return the result; an interrupt of the caller cancels the work."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `last` and wait for the thread's end; `run` starts a new one."""
        if thread := self.end(last):
            thread.join()

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> threading.Thread | None:
        """Let the thread run `last` and end, without waiting: from a finalizer, in any thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_stop_after(last), loop)
        return thread

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="volsurf-theta", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _stop_after(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()  # so that no caller waits for ever
    try:
        await asyncio.gather(*others, return_exceptions=True)
        await last()
        await asyncio.sleep(0)  # transports end one turn after they are told to
    finally:
        asyncio.get_running_loop().stop()
