"""The sweep: read a profile, plan it, run it, keep its journal."""
