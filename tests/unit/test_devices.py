"""Device names, and what to tell a user whose device is not there."""

import pytest

from perftool.bench.devices import batch_size, hardware, missing

NO_OPENCL = """Exception from src/inference/src/cpp/core.cpp:117:
Cannot load library "libopenvino_intel_gpu_plugin.so": libOpenCL.so.1: cannot open shared object file
"""


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("CPU", ("CPU",)),
        ("GPU", ("GPU",)),
        ("GPU.0", ("GPU",)),
        ("GPU.1", ("GPU.1",)),
        ("AUTO", ("CPU", "GPU", "GPU.1")),
        ("AUTO:GPU.1,CPU", ("GPU.1", "CPU")),
        ("AUTO:-GPU", ("CPU", "GPU.1")),
        ("HETERO:CPU", ("CPU",)),
        ("MULTI:CPU, GPU", ("CPU", "GPU")),
        ("MULTI:CPU(2),GPU.1(4)", ("CPU", "GPU.1")),
        ("BATCH:CPU(4)", ("CPU",)),
        ("BATCH:GPU.1", ("GPU.1",)),
    ],
)
def test_the_hardware_behind_a_device(device: str, expected: tuple[str, ...]) -> None:
    assert hardware(device, ("CPU", "GPU.0", "GPU.1")) == expected


def test_batch_size_of_a_batching_device() -> None:
    assert batch_size("BATCH:CPU(4)") == 4
    assert batch_size("BATCH:CPU") is None
    assert batch_size("CPU") is None


def test_a_missing_driver_names_the_library_and_what_to_install() -> None:
    found = missing("GPU", NO_OPENCL)
    assert found is not None
    assert "libOpenCL.so.1" in found.reason
    assert "OpenCL" in found.advice


def test_a_numbered_cpu_is_refused_with_the_reason() -> None:
    found = missing("CPU.0", "Check 'device_id.empty()' failed:\nCPU plugin supports only '' as device id\n")
    assert found is not None
    assert "device id" in found.reason


def test_an_unknown_device_is_missing() -> None:
    found = missing("FOO", 'Device with "FOO" name is not registered in the OpenVINO Runtime')
    assert found is not None
    assert "known" in found.reason


def test_an_error_of_another_kind_is_not_a_missing_device() -> None:
    assert missing("CPU", "Check 'shape.is_static()' failed") is None
