"""The functions of bake_release: one verb each. Gather, decide (plain functions), apply."""
