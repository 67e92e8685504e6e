"""Garbage: what Express Mode leaves behind is found, proven to be used by nobody, and deleted."""
