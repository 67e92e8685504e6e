"""What all tests share."""

from hypothesis import settings

# The same cases in every run, so that a run that fails can be replayed and one that passes means the same everywhere.
settings.register_profile("replayed", derandomize=True)
settings.load_profile("replayed")
