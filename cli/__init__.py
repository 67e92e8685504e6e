"""The `caretaker` command."""

import sys
from pathlib import Path

# In Lambda `functions/` is the import root; here it is made one, so that its own code reads what it writes.
FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
if str(FUNCTIONS) not in sys.path:
    sys.path.append(str(FUNCTIONS))
