"""A sweep of the tiny model that takes seconds: every precision, a batch, and what is left out."""

PROFILE = """
name = "tiny"
search = "grid"
loads = ["closed", "sync"]

[[grids]]
precisions = ["FP32", "FP16", "BF16", "INT8"]
streams = [1]

[[grids]]
precisions = ["INT8"]
batches = [4]
streams = ["auto", 64]

[policy]
rounds = 6
visit_seconds = 0.05
layer_seconds = 0.2
warmup_ceiling_seconds = 0.2
compile_timeout_seconds = 60
visit_timeout_seconds = 20
peak_seconds = 0.5

[accuracy]
dataset = { calibration = 8, evaluation = 32 }
"""
