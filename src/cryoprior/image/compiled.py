"""Loops that are compiled, and the threads that they run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from numba import njit


def compiled(**flags: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function, and keeps the result on disk where a folder can be written."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            found: Callable[..., Any] = njit(nogil=True, cache=True, **flags)(function)
        except RuntimeError:  # neither the package nor the user has such a folder
            found = njit(nogil=True, **flags)(function)
        return found

    return wrap


def threaded(calls: Iterable[Callable[[], None]]) -> None:
    """Run calls of compiled loops side by side, with as many threads as torch uses."""
    threads = torch.get_num_threads()
    if threads == 1:
        for call in calls:
            call()
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
