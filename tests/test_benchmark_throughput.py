"""The benchmarks of rates, on the CPU and in small: what they count, and that they run."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklrelight.neural import RelightingMLP

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
gpu, throughput, training_rate = (importlib.import_module(name) for name in ("gpu", "throughput", "training_rate"))

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    """A capture of 8 photographs, and a narrow network in place of the benchmarked ones."""
    for module in (gpu, throughput):
        monkeypatch.setattr(module, "CASES", {"2 x 16": ((8, 8), (16, 16), 32, "muon")})
    return throughput.make_capture(8, (6, 8), np.float16)


def test_operations_are_counted_by_weight():
    network = RelightingMLP(3, 17, 3, (600,) * 5)
    first, *others = [parameter.numel() for parameter in network.parameters() if parameter.ndim == 2]
    assert throughput.count_operations((), (600,) * 5) == (6 * sum(others) + 4 * first, 2 * sum(others))


def test_operations_of_layers_of_the_pixel_are_shared_by_its_lights():
    network = RelightingMLP(3, 17, 3, (128, 64, 64), (128, 96), light_pixel_products=True)
    first, second, join, *others = [parameter.numel() for parameter in network.parameters() if parameter.ndim == 2]
    # The light's part of the join is computed once for all pixels of a batch.
    shared = second + join - 3 * 256
    expected = 6 * sum(others) + (4 * first + 6 * shared) / throughput.LIGHTS_PER_PIXEL, 2 * sum(others)
    assert throughput.count_operations((128, 96), (128, 64, 64)) == expected


def test_shares_are_of_the_product_timed_beside_them(small):
    row = gpu.measure("2 x 16", small, CPU, seconds=0.01, precision="float32", compile_step=False)
    assert row["training_share"] == row["training"] / row["product"]
    assert row["predicting_share"] == row["predicting"] / row["product"]
    assert 0 < row["epoch_seconds"] < row["fit_seconds"]
    assert row["compiled"] is False


def test_the_table_for_a_card_has_a_row_a_network(small, capsys):
    gpu.report("Some H100 PCIe", small, CPU, seconds=0.01, precision="float32", compile_step=False)
    shown = capsys.readouterr().out
    assert "nominal 756 TFLOP/s" in shown
    assert "8 lights x 48 pixels" in shown
    assert shown.splitlines()[-1].startswith("| 2 x 16 (uncompiled) | 32 |")


@pytest.mark.parametrize(("name", "expected"), [("NVIDIA H100 80GB HBM3", "989 TFLOP/s"), ("Abacus 9000", "unknown")])
def test_nominal_rates(name, expected):
    assert gpu.nominal_rate(name) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_it_says_so(capsys):
    gpu.main()
    assert "no CUDA device" in capsys.readouterr().out


def test_the_table_of_shares_has_a_row_a_network(small, capsys):
    throughput.report_shares(small, "float32", CPU, seconds=0.001, n_repeats=1)
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 2 x 16 | 32 |")


@pytest.mark.parametrize("sizes", [((), (16, 16)), ((8,), (16, 16))])
def test_the_loop_by_hand_and_the_library_train_the_same_network_at_some_rate(sizes, monkeypatch):
    monkeypatch.setattr(training_rate, "NETWORKS", {"small": (*sizes, 32)})
    features, images = throughput.make_capture(8, (6, 8))
    for train in (training_rate.by_hand, training_rate.by_library):
        assert train(features, images, "small", 5, half_precision=False) > 0


def test_the_time_of_an_observation_has_a_row_a_size(monkeypatch, capsys):
    monkeypatch.setattr(throughput, "CASES", {"default": ((8,), (16,), 5000, "muon")})
    throughput.report_times([1], "float32", CPU, n_repeats=1)
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 1 M | ")
