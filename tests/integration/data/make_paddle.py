"""Make tiny.pdmodel and tiny.pdiparams again: a seeded classifier as Paddle writes it.

    pip install paddlepaddle
    FLAGS_enable_pir_api=0 python tests/integration/data/make_paddle.py

Paddle is no dependency of the tests: what they read lies beside this file. Without the flag Paddle writes its
newer format (.json), which OpenVINO 2026.4 does not read.
"""

from pathlib import Path

import paddle
from paddle.static import InputSpec

HERE = Path(__file__).parent

paddle.seed(1)
network = paddle.nn.Sequential(
    paddle.nn.Conv2D(3, 8, 3, padding=1),
    paddle.nn.ReLU(),
    paddle.nn.Conv2D(8, 16, 3, stride=2, padding=1),
    paddle.nn.ReLU(),
    paddle.nn.AdaptiveAvgPool2D(1),
    paddle.nn.Flatten(),
    paddle.nn.Linear(16, 10),
    paddle.nn.Softmax(),
)
network.eval()
image = InputSpec([1, 3, 32, 32], "float32", name="image")
paddle.jit.save(network, str(HERE / "tiny"), input_spec=[image])
(HERE / "tiny.pdiparams.info").unlink()

# Each op remembers the Python stack that made it, with the paths of the machine.
model = HERE / "tiny.pdmodel"
paddle.enable_static()
program = paddle.static.deserialize_program(model.read_bytes())
for op in program.global_block().ops:
    op._remove_attr("op_callstack")
model.write_bytes(program.desc.serialize_to_string())
