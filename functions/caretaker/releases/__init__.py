"""Releases: a new revision is baked beside the old one, and judged on evidence."""
