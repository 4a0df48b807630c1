"""Search: the catalogue beside plain FAISS with the same index, hnswlib and usearch, on the same vectors in one run.

Each engine at each size has a process of its own. Vectors are random, like the projections `z` of our models: those
have 90 % of their variance in five to nine directions, 99 % in 17 to 37, a mean cosine of 0.5 to 0.8 and a nearest
neighbour at 0.98 (2,000 images each of the demo's model and of one trained on ESC-50 and Tiny-ImageNet). So: 1,000
classes around a common mean, in 40 directions of falling size, and a little of every direction. Queries are of the same
kind, never stored.

    python benchmarks/search.py                                   # 10,000, 100,000 and a million vectors of 128
    python benchmarks/search.py --sizes 10000000 --engines ours --memory 2000      # codes that fit into 2,000 MB

`hnswlib` and `usearch` come with the extra `bench`; what is not installed is left out.
"""

import argparse
import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from index.catalogue import Item
from index.compact import size
from index.filter import Filter
from index.local import LocalCatalogue
from index.tuning import Tuning

D, K = 128, 10
QUERIES, BATCH = 1000, 64
RECALL = 0.99
RARE = 100  # a filter passes one of so many
CHUNK = 100_000
ENGINES = ("ours", "hnswlib", "usearch")
Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors], npt.NDArray[np.int64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--memory", type=int, help="MB that the catalogue's vectors may take (default half of all)")
    parser.add_argument("--threads", type=int, default=1, help="of a search")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "COUNT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        engine, count, folder = arguments.one
        faiss.omp_set_num_threads(arguments.threads)
        memory = arguments.memory * 2**20 if arguments.memory else None
        print(json.dumps(RUNS[engine](Path(folder), int(count), memory, arguments.threads)))
        return
    results = []
    for count in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            for engine in arguments.engines:
                if engine != "ours" and importlib.util.find_spec(engine) is None:
                    print(f"{engine} is not installed", file=sys.stderr)
                    continue
                parts = ("build", "ours") if engine == "ours" else (engine,)
                result: dict[str, Any] = {"engine": engine, "count": count}
                for part in parts:
                    result |= alone(arguments, part, count, folder)
                results.append(result)
                show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def alone(arguments: argparse.Namespace, engine: str, count: int, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", engine, str(count), folder, "--threads", str(arguments.threads)]
    if arguments.memory:
        command += ["--memory", str(arguments.memory)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def show(result: dict[str, Any]) -> None:
    measured = "  ".join(f"{key} {value}" for key, value in result.items() if key not in ("engine", "count"))
    print(f"{result['engine']:8} {result['count']:>10,}  {measured}", flush=True)


# --- vectors ---------------------------------------------------------------------------------------------------------


def make(folder: Path, count: int) -> None:
    """Vectors, queries, and the exact neighbours of the queries among all and among one of a hundred."""
    stored = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (count, D))
    for start in range(0, count, CHUNK):
        stored[start : start + CHUNK] = draw(min(CHUNK, count - start), start + 1)
    queries = draw(QUERIES, 0)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", exact(queries, stored, 1))
    np.save(folder / "rare.npy", exact(queries, stored, RARE))


def draw(count: int, seed: int) -> Vectors:
    fixed = np.random.default_rng(123)
    directions = np.linalg.qr(fixed.normal(size=(D, 40)))[0].T * (np.arange(1, 41) ** -0.7)[:, None]
    centres = fixed.normal(size=(1000, 40))
    mean = fixed.normal(size=D)
    mean *= 1.6 / np.linalg.norm(mean)
    random = np.random.default_rng(seed)
    places = centres[random.integers(0, len(centres), count)] + 0.5 * random.normal(size=(count, 40))
    vectors = (mean + places @ directions + 0.01 * random.normal(size=(count, D))).astype(np.float32)
    normed: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def exact(queries: Vectors, stored: Vectors, step: int) -> npt.NDArray[np.int64]:
    """Rows of the K nearest of every `step`-th vector, as rows of them all."""
    best = np.full((len(queries), K), -2, np.float32)
    rows = np.full((len(queries), K), -1, np.int64)
    for start in range(0, len(stored), CHUNK):
        scores, found = faiss.knn(queries, stored[start : start + CHUNK : step].copy(), K, metric=0)
        both = np.concatenate([best, scores], 1)
        order = np.argsort(-both, 1, kind="stable")[:, :K]
        best = np.take_along_axis(both, order, 1)
        rows = np.take_along_axis(np.concatenate([rows, start + found * step], 1), order, 1)
    return rows


# --- measures --------------------------------------------------------------------------------------------------------


def timed(search: Search, queries: Vectors) -> tuple[list[float], npt.NDArray[np.int64]]:
    """Milliseconds of each query by itself, and what was found."""
    for query in queries[:50]:
        search(query[None])
    took, found = [], []
    for query in queries:
        begin = time.perf_counter()
        found.append(search(query[None])[0])
        took.append(1000 * (time.perf_counter() - begin))
    return took, np.array(found)


def described(name: str, took: list[float]) -> dict[str, float]:
    return {
        f"{name}p50_ms": round(statistics.median(took), 3),
        f"{name}p99_ms": round(float(np.quantile(took, 0.99)), 3),
    }


def batched(search: Search, queries: Vectors) -> float:
    """Queries a second, in batches: the median of several rounds."""
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        for start in range(0, len(queries) - BATCH + 1, BATCH):
            search(queries[start : start + BATCH])
        rates.append(len(queries) // BATCH * BATCH / (time.perf_counter() - begin))
    return round(statistics.median(rates))


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    hits = [len(set(row.tolist()) & set(right.tolist())) for row, right in zip(found, truth, strict=True)]
    return round(sum(hits) / truth.size, 4)


def resident() -> float:
    """MB that the process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def load(folder: Path) -> tuple[Vectors, Vectors, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return (
        np.load(folder / "vectors.npy", mmap_mode="r"),
        np.load(folder / "queries.npy"),
        np.load(folder / "truth.npy"),
        np.load(folder / "rare.npy"),
    )


# --- engines ---------------------------------------------------------------------------------------------------------


def build(folder: Path, count: int, memory: int | None, threads: int) -> dict[str, Any]:
    """The catalogue that `ours` opens, in a process of its own, so that what this one takes is not counted there."""
    vectors = load(folder)[0]
    place, tuning = folder / "catalogue", Tuning(memory=memory, recall=RECALL, background=False)
    catalogue = LocalCatalogue.create(place, "benchmark", D, folder, tuning)
    begin = time.perf_counter()
    for start in range(0, count, 10_000):
        rows = range(start, min(start + 10_000, count))
        catalogue.put([item(row) for row in rows], vectors[start : start + len(rows)])
    put = time.perf_counter() - begin
    begin = time.perf_counter()
    catalogue.upkeep.finish()
    trained = time.perf_counter() - begin
    catalogue.close()
    return {"put_s": round(put, 1), "train_s": round(trained, 1), "disk_mb": round(size(place) / 2**20)}


def ours(folder: Path, count: int, memory: int | None, threads: int) -> dict[str, Any]:
    vectors, queries, truth, rare = load(folder)
    place, tuning = folder / "catalogue", Tuning(memory=memory, recall=RECALL, background=False)
    before = resident()
    begin = time.perf_counter()
    catalogue = LocalCatalogue.open(place, writable=True, tuning=tuning)
    opened = time.perf_counter() - begin
    catalogue.search(queries[:1], "image", K)
    first = time.perf_counter() - begin
    held = resident() - before

    neighbours = catalogue.neighbours("image")
    lists = neighbours.curve.lists(K, RECALL, neighbours.plan.lists)
    exactly = neighbours.is_exact
    parameters: Any = None if exactly else faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg]
    result = {
        "kind": neighbours.plan.kind,
        "open_s": round(opened, 2),
        "first_answer_s": round(first, 2),
        "memory_mb": round(held),
        "lists": f"{lists}/{neighbours.plan.lists}",
    }

    def search(batch: Vectors, by: Filter | None = None) -> npt.NDArray[np.int64]:
        return np.array([[int(hit.item.id) for hit in row] for row in catalogue.search(batch, "image", K, by)])

    def plain(batch: Vectors) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = neighbours.index.search(batch, K, params=parameters)[1] - 1
        return found

    def numbers(batch: Vectors) -> npt.NDArray[np.int64]:
        """What `search` does before it looks the items up."""
        with catalogue.view():
            found = neighbours.search(batch, K, RECALL, lambda _: batch)
        return np.array([[number for _, number in row] for row in found])

    mine, theirs = in_turns(search, plain, queries)
    found = timed(search, queries)[1]
    result |= {"recall": recall(found, truth), **described("", mine), "qps_64": batched(search, queries)}
    result |= described("faiss_", theirs)
    result |= {"faiss_recall": recall(timed(plain, queries)[1], truth), "faiss_qps_64": batched(plain, queries)}
    result["ratio_to_faiss"] = round(statistics.median(mine) / statistics.median(theirs), 2)
    if neighbours.plan.kind in ("flat", "ivf-flat"):
        mine, theirs = in_turns(numbers, plain, queries)
        result["ratio_without_items"] = round(statistics.median(mine) / statistics.median(theirs), 2)
    by = Filter(labels=("rare",))
    begin = time.perf_counter()
    search(queries[:1], by)
    result["filter_first_ms"] = round(1000 * (time.perf_counter() - begin), 1)
    took, found = timed(lambda batch: search(batch, by), queries)
    result |= {"filter_recall": recall(found, rare), **described("filter_", took)}
    result |= adding(catalogue, vectors, queries, count)
    catalogue.close()
    return result


def item(row: int) -> Item:
    label = "rare" if row % RARE == 0 else "common"
    return Item(str(row), "image", f"{row}.jpg", "image/jpeg", label, metadata={"split": "train", "row": row})


def in_turns(one: Search, other: Search, queries: Vectors) -> tuple[list[float], list[float]]:
    """Milliseconds of each query, by one and by the other, in turns. Who comes second finds the vectors in the
    processor's cache, so each does every other time."""
    took: tuple[list[float], list[float]] = ([], [])
    pairs = list(zip(took, (one, other), strict=True))
    for warm in (True, False):
        for query in queries[: 50 if warm else None]:
            pairs.reverse()
            for times, search in pairs:
                begin = time.perf_counter()
                search(query[None])
                if not warm:
                    times.append(1000 * (time.perf_counter() - begin))
    return took


def adding(catalogue: LocalCatalogue, vectors: Vectors, queries: Vectors, count: int) -> dict[str, float]:
    """Items put a second, one at a time and each on disk before the next, while another thread searches; and what the
    searches take meanwhile."""
    stop, took = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            for query in queries:
                begin = time.perf_counter()
                catalogue.search(query[None], "image", K)
                took.append(1000 * (time.perf_counter() - begin))
                if stop.is_set():
                    return

    searcher = threading.Thread(target=search)
    searcher.start()
    begin, added = time.perf_counter(), 0
    while time.perf_counter() - begin < 5:
        catalogue.put([item(count + added)], vectors[added : added + 1])
        added += 1
    rate = added / (time.perf_counter() - begin)
    stop.set()
    searcher.join()
    return {"adds_per_s": round(rate), **described("meanwhile_", took)}


def hnswlib(folder: Path, count: int, memory: int | None, threads: int) -> dict[str, Any]:
    import hnswlib as library

    vectors, queries, truth, rare = load(folder)
    before, begin = resident(), time.perf_counter()
    index = library.Index(space="ip", dim=D)
    index.init_index(max_elements=count, ef_construction=200, M=16)
    for start in range(0, count, CHUNK):
        index.add_items(vectors[start : start + CHUNK], np.arange(start, min(start + CHUNK, count)))
    built = time.perf_counter() - begin
    held = resident() - before

    def search(batch: Vectors) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = index.knn_query(batch, k=K, num_threads=threads)[0].astype(np.int64)
        return found

    result = {"build_s": round(built, 1), "memory_mb": round(held), **widened(search, index.set_ef, queries, truth)}
    index.save_index(str(folder / "hnswlib"))
    result["disk_mb"] = round((folder / "hnswlib").stat().st_size / 2**20)

    def filtered(batch: Vectors) -> npt.NDArray[np.int64]:
        found = index.knn_query(batch, k=K, num_threads=threads, filter=lambda label: label % RARE == 0)[0]
        numbers: npt.NDArray[np.int64] = found.astype(np.int64)
        return numbers

    try:
        took, found = timed(filtered, queries[:100])
        result |= {"filter_recall": recall(found, rare[:100]), **described("filter_", took)}
    except RuntimeError as error:  # it finds fewer than asked for
        result["filter"] = f"fails: {str(error).split('.')[0]}"
    return result


def usearch(folder: Path, count: int, memory: int | None, threads: int) -> dict[str, Any]:
    library: Any = importlib.import_module("usearch.index")
    vectors, queries, truth, _ = load(folder)
    before, begin = resident(), time.perf_counter()
    index = library.Index(ndim=D, metric="ip", dtype="f32", connectivity=16, expansion_add=128)
    for start in range(0, count, CHUNK):
        rows = np.arange(start, min(start + CHUNK, count))
        index.add(rows, np.ascontiguousarray(vectors[start : start + CHUNK]))
    built = time.perf_counter() - begin
    held = resident() - before

    def search(batch: Vectors) -> npt.NDArray[np.int64]:
        keys = index.search(batch if len(batch) > 1 else batch[0], K, threads=threads).keys
        found: npt.NDArray[np.int64] = np.asarray(keys).reshape(len(batch), K).astype(np.int64)
        return found

    def widen(expansion: int) -> None:
        index.expansion_search = expansion

    result = {"build_s": round(built, 1), "memory_mb": round(held), **widened(search, widen, queries, truth)}
    index.save(str(folder / "usearch"))
    result["disk_mb"] = round((folder / "usearch").stat().st_size / 2**20)
    return result


def widened(
    search: Search, widen: Callable[[int], None], queries: Vectors, truth: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """A graph with the least breadth of search that reaches the recall on these queries."""
    for breadth in (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048):
        widen(breadth)
        if recall(search(queries), truth) >= RECALL:
            break
    took, found = timed(search, queries)
    return {
        "breadth": breadth,
        "recall": recall(found, truth),
        **described("", took),
        "qps_64": batched(search, queries),
    }


RUNS: dict[str, Callable[..., dict[str, Any]]] = {"build": build, "ours": ours, "hnswlib": hnswlib, "usearch": usearch}

if __name__ == "__main__":
    main()
