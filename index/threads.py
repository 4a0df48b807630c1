"""How many threads a search of FAISS takes."""

from __future__ import annotations

import faiss


def search_alone() -> None:
    """Let the calling thread's searches run on it alone, without OpenMP's.

    Searches run side by side, and beside a model that wants the cores. One query among 50,000 vectors of 128 on two
    busy cores: 0.9 ms on one thread, 17 to 35 ms on two, which wait for each other; from two threads at once 460
    queries a second with one thread each, 200 with two.
    """
    faiss.omp_set_num_threads(1)  # FAISS's setting is that of the calling thread
