"""How long `bma --help` takes: median and range of 15 fresh processes, after one to warm the disk's cache."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [str(Path(sys.executable).with_name("bma")), "--help"]
GOAL = 0.5  # seconds


def main() -> None:
    seconds = []
    for _ in range(16):
        begin = time.perf_counter()
        subprocess.run(COMMAND, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    kept = seconds[1:]
    median = statistics.median(kept)
    print(f"bma --help: median {median:.3f} s, {min(kept):.3f} to {max(kept):.3f} s of {len(kept)} (goal {GOAL} s)")


if __name__ == "__main__":
    main()
