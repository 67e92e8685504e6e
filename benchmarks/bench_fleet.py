"""One replacement in a fleet of 100 hosts with 1,000 tasks, rehearsed end to end: wall time, start-up included.

python -m benchmarks.bench_fleet [--rounds 3] [--ceiling 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORLD = ROOT / "worlds" / "hundred_hosts.yaml"


def rehearse(report: Path) -> float:
    """Seconds of one rehearsal in a process of its own; its report is written to `report`."""
    command = [sys.executable, "-m", "cli", "rehearse", "--world", str(WORLD), "--json", str(report)]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ceiling", type=float, default=15.0, help="most seconds allowed, median")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        times = [rehearse(report) for _ in range(options.rounds)]
        result = json.loads(report.read_text(encoding="utf-8"))
    median = statistics.median(times)
    print(f"{WORLD.name}: verdict {result['verdict']}, {result['simulated_seconds']:.0f} simulated seconds")
    print(f"wall: median {median:.1f} s of {options.rounds} ({', '.join(f'{t:.1f}' for t in times)})")
    print(f"ceiling {options.ceiling:.0f} s: {'held' if median <= options.ceiling else 'BROKEN'}")
    return 0 if median <= options.ceiling and result["verdict"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
