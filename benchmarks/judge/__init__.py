"""How often the judge of a release is wrong, next to the rules that others publish, on the same seeded streams."""

import sys
from pathlib import Path

# In Lambda `functions/` is the import root; here it is made one, so that the judge is the one that is deployed.
FUNCTIONS = str(Path(__file__).resolve().parents[2] / "functions")
if FUNCTIONS not in sys.path:
    sys.path.append(FUNCTIONS)
