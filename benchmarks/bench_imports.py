"""What importing a handler costs, against `import boto3; boto3.client("ecs")`.

Each figure is the median over interleaved fresh processes of the time that the statement takes in the process. The
import is what a cold start pays before the first line of a handler runs.

    python -m benchmarks.bench_imports [--rounds 20] [--ceiling 1.15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
BASELINE = 'import boto3; boto3.client("ecs")'
TIMED = "import time; start = time.perf_counter(); exec({statement!r}); print(time.perf_counter() - start)"


def handler_modules() -> list[str]:
    """Every module under functions/caretaker/**/handlers/, dotted."""
    found = sorted(FUNCTIONS.glob("caretaker/**/handlers/*.py"))
    return [".".join(path.relative_to(FUNCTIONS).with_suffix("").parts) for path in found if path.stem != "__init__"]


def seconds(statement: str, bytecode: str) -> float:
    """What the statement takes in a fresh process; compiled code is kept in the folder `bytecode`, not in the tree."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(FUNCTIONS),
        "PYTHONPYCACHEPREFIX": bytecode,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", TIMED.format(statement=statement)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="processes for each statement")
    parser.add_argument("--ceiling", type=float, default=1.15, help="highest ratio allowed")
    options = parser.parse_args()
    statements = {BASELINE: BASELINE} | {name: f"import {name}" for name in handler_modules()}
    measured: dict[str, list[float]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory() as bytecode:
        for statement in statements.values():
            seconds(statement, bytecode)  # the first import compiles; no round counts that
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            for name, statement in statements.items():
                measured[name].append(seconds(statement, bytecode))
    baseline = statistics.median(measured[BASELINE])
    ratios = {name: statistics.median(times) / baseline for name, times in measured.items() if name != BASELINE}
    print(f"{BASELINE}: median {baseline * 1000:.0f} ms of {options.rounds} processes")
    for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        print(f"{ratio:5.2f}  {statistics.median(measured[name]) * 1000:5.0f} ms  {name}")
    worst = max(ratios.values())
    print(f"worst ratio {worst:.2f}, ceiling {options.ceiling:.2f}: {'held' if worst <= options.ceiling else 'BROKEN'}")
    return 0 if worst <= options.ceiling else 1


if __name__ == "__main__":
    sys.exit(main())
