"""Several workers, a process each and nobody above them: they share the database and nothing else.

Whoever starts them only waits, passes on the order to end, and adds up what they did. What a worker
that is killed has left behind the others take up.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

from duewise.errors import DuewiseError
from duewise.jobs.worker_environment import for_workers

IN_ORDER = (0, 130, 143)  # done, or asked to end a moment after it was


async def run_crew(command: Sequence[str], workers: int, *, stop: asyncio.Event) -> Counter[str]:
    """Run the command so many times side by side; the sum of the counts each prints as JSON.

    Raises DuewiseError if one ended with an error; what the others did is done.
    """
    with for_workers(workers):
        crew = [
            await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            for _ in range(workers)
        ]
    working = [asyncio.create_task(process.communicate()) for process in crew]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(
            {stopping, asyncio.ensure_future(asyncio.wait(working))},
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        stopping.cancel()
        for process in crew:
            if process.returncode is None:
                process.terminate()
        told = [out for out, _ in await asyncio.gather(*working)]
    failed = sum(process.returncode not in IN_ORDER for process in crew)
    if failed:
        raise DuewiseError(
            f"{failed} of {workers} workers ended with an error, told above. Nothing is lost: "
            "what they had claimed waits. Mend: see to its cause, then run this command again"
        )
    return sum((Counter(json.loads(text)) for text in told if text), Counter())
