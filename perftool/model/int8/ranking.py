"""Rank quantized layers by the error that each adds, from one pass of images through one float graph.

Beside each quantized layer of the float graph runs the INT8 file's own, with its quantizers, weights and
bias, on the float graph's exact input. The CPU plugin runs these in its 8-bit kernels, as when the INT8 model
is deployed, and the rest in f32. Both are compared behind bias and activation function: what ReLU cuts
off, the next layer never sees.

How much of a layer's error reaches the output is its first-order effect there. The graph is extended by
its reverse (`backward`); for each image one random direction over the class scores is drawn, signs of equal
chance, and run back to every layer, where its product with the error is the error's effect on the scores
along this direction. The square's mean is, over directions, the energy of that effect on all scores
(Hutchinson's estimator), which varies by sqrt(2 / images) of itself. Energies of layers add up at the output
as far as their errors are independent (Lin, Talathi, Annapureddy, arXiv 1511.06393). Where an op has no
reverse here, `shares` reckons with energies alone, which is much poorer.

A layer's error is that of its own weights and of the quantizers that it reads; what quantizers before a sum
or an average pool add is no layer's. First order ends where errors are large: where an image drives a layer
far outside the range that was calibrated, its effect is overrated. Nothing is reverted here, and no accuracy
is measured.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.errors import PerftoolError
from perftool.images.sets import image_count, image_size, load_images, to_input
from perftool.job import Rank
from perftool.model import sources
from perftool.model.int8.backward import gradients, key
from perftool.model.int8.quantized import PASSING, Layer, Node, Pair, read_pair
from perftool.model.int8.shares import joined, shares
from perftool.record import LayerError, Ranked

_SEED: Final = 1511_06393

Watch = Callable[[str, int, int], None]


def rank(job: Rank, watch: Watch) -> Ranked:
    """Return every quantized layer with its error, the worst at the output first.

    `own` is the error's energy over the output's, both summed over all images; `at_output` the energy of its
    effect on the scores (before a closing softmax, and then without what all classes share) over the scores'
    own. Raises InputError for files that do not belong together and images that cannot be read, PerftoolError
    where a layer answers with no finite number.
    """
    started = time.perf_counter_ns()
    total = min(image_count(job.images), job.most)
    watch("rank", 0, total)
    pair = read_pair(job.float_path, job.int8_path)
    if not pair.layers:
        return Ranked(layers=(), images=0, duration_ns=time.perf_counter_ns() - started)
    for model in (pair.exact, pair.quantized):
        sources.rebatch(model, 1)
    graph = instrument(pair)
    sums = np.zeros(len(graph.meters) + 1)
    done = 0
    for done, energies in enumerate(_measured(graph, job), start=1):
        sums += energies
        watch("rank", done, total)
    layers = sorted(_errors(pair, graph, sums.tolist()), key=lambda each: -each.at_output)
    return Ranked(layers=tuple(layers), images=done, duration_ns=time.perf_counter_ns() - started)


class Instrumented(NamedTuple):
    """The float graph with a scalar output for each of `meters`, and behind them the scores.

    A meter is what it measures, and where. `directed` tells that a direction is the graph's second input.
    `softmax` tells that the scores go through one.
    """

    model: ov.Model
    meters: tuple[tuple[str, str], ...]
    directed: bool
    softmax: bool


def instrument(pair: Pair) -> Instrumented:
    """Lay the INT8 graph's layers beside the float graph's, and measure at each; both graphs are used up."""
    scores, softmax = _scores(pair.exact)
    ends = {name: _ends(pair, layer) for name, layer in pair.layers.items()}
    direction = ops.parameter(list(scores.get_shape()), np.float32, name="direction")
    places = frozenset(key(exact) for exact, _ in ends.values())
    slopes = gradients(pair.exact, scores, direction.output(0), places)
    joins = joined(pair) if slopes is None else {}
    seen: set[str] = set()
    for layer in pair.layers.values():
        _feed_exactly(pair, layer.quantized.input(layer.activation), seen)
    meters: dict[tuple[str, str], Node] = {}
    for name, (exact, quantized) in ends.items():
        error = ops.subtract(quantized, exact).output(0)
        meters["error", name] = _energy(error, error)
        meters["signal", name] = _energy(exact, exact)
        if slopes is not None and key(exact) in slopes:
            meters["effect", name] = _energy(error, slopes[key(exact)])
    meters |= {("join", name): _energy(value, value) for name, value in joins.items()}
    inputs = [*pair.exact.get_parameters(), *([direction] if slopes is not None else [])]
    results = [ops.result(value) for value in (*meters.values(), scores)]
    return Instrumented(ov.Model(results, inputs), tuple(meters), slopes is not None, softmax)


def _scores(model: ov.Model) -> tuple[Node, bool]:
    """Return the class scores, before the softmax if that is the model's last op, and whether it is."""
    scores = model.get_results()[0].input(0).get_source_output()
    last = scores.get_node()
    if last.get_type_name() == "Softmax":
        return last.input(0).get_source_output(), True
    return scores, False


def _ends(pair: Pair, layer: Layer) -> tuple[Node, Node]:
    """Return the outputs to compare: of the float layer and of the INT8 one, as far behind as both go."""
    exact, quantized = pair.end(layer.exact), pair.end(layer.quantized)
    if exact.get_friendly_name() != quantized.get_friendly_name():
        # A quantizer stands between bias and activation function, or NNCF added a bias.
        exact = pair.namesakes.get(quantized.get_friendly_name(), layer.exact)
    return exact.output(0), quantized.output(0)


def _feed_exactly(pair: Pair, port: Node, seen: set[str]) -> None:
    """Let the quantizers before an input of the INT8 graph read the float graph's values."""
    value = port.get_source_output()
    node = value.get_node()
    if pair.is_constant(value) or node.get_name() in seen:
        return
    if not pair.inserted(node) and node.get_type_name() not in PASSING:
        port.replace_source_output(pair.namesakes[node.get_friendly_name()].output(value.get_index()))
        return
    seen.add(node.get_name())
    for each in node.inputs():
        _feed_exactly(pair, each, seen)


def _energy(one: Node, other: Node) -> Node:
    """Sum the products of two values' elements, in f32: one image's only."""
    axes = np.arange(len(one.get_partial_shape()), dtype=np.int64)
    return ops.reduce_sum(ops.multiply(one, other), axes, False).output(0)


def _measured(graph: Instrumented, job: Rank) -> Iterator[NDArray[np.float64]]:
    """Yield for each image what the meters read, effects squared, and at the end the energy of the scores."""
    how = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(graph.model, "CPU", how).create_infer_request()
    port = graph.model.inputs[0]
    generator = np.random.Generator(np.random.Philox(_SEED))
    effects = np.array([kind == "effect" for kind, _ in graph.meters])
    for image in islice(load_images(job.images, image_size(port)), job.most):
        inputs = [to_input(image, port)]
        if graph.directed:
            inputs.append(_direction(graph, generator))
        request.infer(inputs)
        *meters, last = (np.array(tensor.data, dtype=np.float64) for tensor in request.output_tensors)
        read = np.array([meter.item() for meter in meters])
        scores = last - last.mean() if graph.softmax else last
        yield np.append(np.where(effects, read**2, read), np.sum(scores**2))


def _direction(graph: Instrumented, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw signs over the scores; without their mean where a softmax does not see it."""
    signs = generator.choice(np.array([-1.0, 1.0]), tuple(graph.model.inputs[1].get_shape()))
    return np.asarray(signs - signs.mean() if graph.softmax else signs, dtype=np.float32)


def _errors(pair: Pair, graph: Instrumented, sums: list[float]) -> Iterator[LayerError]:
    """Yield each layer's error, given the sums over all images."""
    read = dict(zip(graph.meters, sums, strict=False))
    joins = {name: energy for (kind, name), energy in read.items() if kind == "join"}
    reckoned = {} if graph.directed else shares(pair, joins)
    for name, layer in pair.layers.items():
        own = _ratio(read["error", name], read["signal", name])
        if graph.directed:
            at_output = _ratio(read.get(("effect", name), 0.0), sums[-1])
            share = at_output / own if own else 0.0
        else:
            share = reckoned.get(pair.end(layer.exact).get_friendly_name(), 0.0)
        if not isfinite(own * share):
            raise PerftoolError(f"layer {name} answers with values that are no finite numbers")
        yield LayerError(name=name, type=layer.type, own=own, share=share)


def _ratio(energy: float, of: float) -> float:
    """Divide, where nothing over nothing is no error."""
    return energy / of if energy else 0.0
