"""What is measured and published: `python -m benchmarks.<name>`, from the root of the repository."""

import sys
from pathlib import Path

# In Lambda `functions/` is the import root; here it is made one, so that what is measured is what is deployed.
FUNCTIONS = str(Path(__file__).resolve().parents[1] / "functions")
if FUNCTIONS not in sys.path:
    sys.path.append(FUNCTIONS)
