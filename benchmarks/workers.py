"""Work that needs one core, on all cores: training of small networks gains little from two."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")

_THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


def in_processes(function: Callable[..., Found], calls: Sequence[Sequence[object]]) -> list[Found]:
    """Calls a function in processes of one thread each, as many at once as there are cores.

    Args:
        function: Of a module; it and what it gets and returns can be pickled.
        calls: The arguments of each call.

    Returns:
        What each call returned, in the order of `calls`.
    """
    if not calls:
        return []
    former = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with ProcessPoolExecutor(
            max_workers=min(len(calls), os.cpu_count() or 1),
            mp_context=multiprocessing.get_context("spawn"),
        ) as pool:
            jobs = [pool.submit(function, *arguments) for arguments in calls]
            return [job.result() for job in jobs]
    finally:
        for name, value in former.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
