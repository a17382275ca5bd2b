"""Give a summary made-up layer profiles and a roofline, as a run has them that was profiled."""

from msgspec import structs

from perftool.analysis.layers import Advice, LayerGroup, LayerProfile, LayerRow
from perftool.analysis.result import Summary
from perftool.analysis.roofline import Ceiling, Placed, Roofline
from perftool.analysis.stats import Estimate


def around(value: float) -> Estimate:
    return Estimate(point=value, low=0.95 * value, high=1.05 * value)


def profiled(summary: Summary, name: str = "InceptionV4/Conv2d") -> Summary:
    """Return the summary with the profile of its first measured configuration; `name` begins all names."""
    one = next(one for one in summary.configurations if one.status == "ok")
    layers = tuple(_layer(name, number) for number in range(60))
    total = sum(layer.time_us.point for layer in layers)
    layers = tuple(structs.replace(layer, share=layer.time_us.point / total) for layer in layers)
    profile = LayerProfile(
        id=one.id,
        device=one.device,
        precision=one.precision,
        executed_precision=one.executed_precision,
        batch=one.batch,
        streams=one.streams,
        threads=one.threads,
        requests=2,
        inferences=24,
        plain_ms=around(total / 1000),
        counted_ms=around(1.05 * total / 1000),
        sum_ms=around(0.97 * total / 1000),
        layers=layers,
        by_type=_groups(layers, "type"),
        by_block=_groups(layers, "block"),
        by_precision=_groups(layers, "precision"),
        transitions=LayerGroup(
            name="reorders", layers=3, time_us=around(0.02 * total), share=0.02, gflops=None
        ),
        advice=(
            Advice(text=f"quantize {name}", reason="it runs in f32", gain=1.12),
            Advice(text="use a larger batch", reason="its layers wait for memory", gain=None),
        ),
    )
    peaks = (("int8", "matmul", 807.0), ("bf16", "matmul", 415.0), ("f32", "convolution", 209.0))
    ceilings = tuple(
        Ceiling(precision=precision, kernel=kernel, gflops=around(rate)) for precision, kernel, rate in peaks
    )
    roof = Roofline(device=one.device, ceilings=ceilings, bandwidth_gb_s=around(21.0), measured="2026-11-26")
    placed = tuple(
        Placed(
            id=each.id,
            precision=each.precision,
            intensity=90.0 + 8 * at,
            gflops=around(24.5 * each.throughput_fps.point),
            limit_gflops=dict((a, c) for a, _, c in peaks).get(each.executed_precision or "f32", 209.0),
            of_limit=around(80.0),
            bound="compute",
            words=f"{each.id} reaches 80 % of what the device can do",
        )
        for at, each in enumerate(summary.configurations)
        if each.status == "ok" and each.throughput_fps
    )
    return structs.replace(summary, layers=(profile,), rooflines=(roof,), placed=placed)


def _layer(name: str, number: int) -> LayerRow:
    convolves = number % 4 != 3
    return LayerRow(
        name=f"{name}_{number}",
        type="Convolution" if convolves else "Concatenation",
        kernel="brgconv_avx512_f32" if convolves else "unknown_f32",
        precision="f32",
        block=f"block {number // 20}",
        originals=(f"{name}_{number}", f"{name}_{number}/relu"),
        output_shape=(1, 64, 35, 35),
        time_us=around(2000 / (1 + number)),
        share=0.0,
        gflops=150.0 if convolves else None,
        device_gflops=300.0 if convolves else None,
        of_peak=around(75.0) if convolves else None,
        of_limit=around(80.0) if convolves else None,
        intensity=40.0 + number if convolves else None,
    )


def _groups(layers: tuple[LayerRow, ...], field: str) -> tuple[LayerGroup, ...]:
    names = dict.fromkeys(str(getattr(layer, field)) for layer in layers)
    groups = []
    for name in names:
        members = [layer for layer in layers if getattr(layer, field) == name]
        groups.append(
            LayerGroup(
                name=name,
                layers=len(members),
                time_us=around(sum(layer.time_us.point for layer in members)),
                share=sum(layer.share for layer in members),
                gflops=None,
            )
        )
    return tuple(groups)
