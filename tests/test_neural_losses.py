"""The terms of the loss: zero, shape, a known value, torch's own, the gradient; and their weighted sum."""

import pytest
import torch
from torch import nn

from sklrelight.neural import CompositeLoss, _losses
from sklrelight.neural._losses import luminance, relative_squared_error, squared_error, squared_luminance_error

CHANNELS = [1, 3, 5]
TERMS = [squared_error, squared_luminance_error, relative_squared_error]
WEIGHTS = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def batch(n_channels=3, n=7, seed=0, dtype=torch.float64):
    """Prediction and target in [0.1, 1.1), the prediction with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    values = 0.1 + torch.rand(2, n, n_channels, generator=generator, dtype=dtype)
    return values[0].clone().requires_grad_(), values[1].clone()


# --- Each term


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize("term", TERMS)
def test_identical_inputs_have_no_loss(term, n_channels):
    for dtype in (torch.float32, torch.float64):
        _, target = batch(n_channels, dtype=dtype)
        assert torch.equal(term(target, target), torch.zeros_like(term(target, target)))


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize(
    ("term", "per_channel"), [(squared_error, True), (squared_luminance_error, False), (relative_squared_error, True)]
)
def test_terms_are_unreduced_and_not_negative(term, per_channel, n_channels):
    prediction, target = batch(n_channels)
    values = term(prediction, target)
    assert values.shape == ((7, n_channels) if per_channel else (7,))
    assert values.min() >= 0
    assert values.dtype == torch.float64


def test_squared_error_at_known_values():
    values = squared_error(torch.tensor([[0.5, 0.0, 1.0]]), torch.tensor([[0.25, 1.0, 1.0]]))
    torch.testing.assert_close(values, torch.tensor([[0.0625, 1.0, 0.0]]))


def test_luminance_at_known_values():
    colours = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(luminance(colours), WEIGHTS.sqrt(), rtol=1e-6, atol=0)
    # sqrt(0.299 * 0.25 + 0.587 * 0.04 + 0.114 * 0.01)
    value = luminance(torch.tensor([[0.5, 0.2, 0.1]], dtype=torch.float64))
    assert value.item() == pytest.approx(0.0993700**0.5, rel=1e-6)
    for n_channels in CHANNELS:
        grey = torch.full((1, n_channels), 0.3, dtype=torch.float64)
        assert luminance(grey).item() == pytest.approx(0.3, rel=1e-6)


def test_other_than_three_channels_weigh_alike():
    colours = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(luminance(colours), torch.full((5,), 0.2**0.5, dtype=torch.float64), rtol=1e-6, atol=0)


def test_squared_luminance_error_at_known_values():
    # White against pure green.
    value = squared_luminance_error(torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([[0.0, 1.0, 0.0]]))
    assert value.item() == pytest.approx((1 - 0.587**0.5) ** 2, rel=1e-5)


def test_luminance_does_not_see_a_change_of_hue():
    red = torch.tensor([[0.299**-0.5, 0.0, 0.0]], dtype=torch.float64)
    blue = torch.tensor([[0.0, 0.0, 0.114**-0.5]], dtype=torch.float64)
    assert squared_luminance_error(red, blue).item() == pytest.approx(0, abs=1e-12)
    assert squared_error(red, blue).mean() > 1


def test_relative_squared_error_at_known_values():
    # Mean square of the targets (9 + 16) / 2.
    values = relative_squared_error(torch.tensor([[3.0], [5.0]]), torch.tensor([[3.0], [4.0]]))
    torch.testing.assert_close(values, torch.tensor([[0.0], [1 / 12.5]]))


def test_root_of_the_mean_of_the_relative_term_is_the_relative_error():
    prediction, target = batch()
    expected = torch.sqrt(((target - prediction) ** 2).sum() / (target**2).sum())
    torch.testing.assert_close(relative_squared_error(prediction, target).mean().sqrt(), expected)


def test_relative_error_is_of_the_whole_batch_and_does_not_depend_on_its_brightness():
    prediction, target = batch()
    dim = relative_squared_error(prediction * 0.125, target * 0.125)
    torch.testing.assert_close(dim, relative_squared_error(prediction, target))
    halves = [relative_squared_error(p, t).mean() for p, t in zip(prediction.split(4), target.split(4), strict=True)]
    assert halves[0] != halves[1]


def test_a_black_batch_counts_as_one_of_mean_square_1e_6():
    values = relative_squared_error(torch.full((2, 3), 1e-3), torch.zeros(2, 3))
    torch.testing.assert_close(values, torch.ones(2, 3))


@pytest.mark.parametrize("n_channels", CHANNELS)
def test_terms_agree_with_torch(n_channels):
    prediction, target = batch(n_channels)
    expected = nn.functional.mse_loss(prediction, target, reduction="none")
    torch.testing.assert_close(squared_error(prediction, target), expected)
    # The luminance of one channel is its size, of more that all weigh alike their root mean square.
    if n_channels != 3:
        rms = torch.linalg.vector_norm(prediction, dim=1) / n_channels**0.5
        torch.testing.assert_close(luminance(prediction), rms, rtol=1e-6, atol=0)
    normalised = nn.functional.mse_loss(prediction, target) / nn.functional.mse_loss(target, torch.zeros_like(target))
    torch.testing.assert_close(relative_squared_error(prediction, target).mean(), normalised)


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize("term", [*TERMS, CompositeLoss(), CompositeLoss(0, 1), CompositeLoss(1, 0)])
def test_gradients_agree_with_differences(term, n_channels):
    prediction, target = batch(n_channels)
    assert torch.autograd.gradcheck(term, (prediction, target.requires_grad_()))


def test_gradient_of_the_squared_error():
    prediction, target = batch()
    squared_error(prediction, target).sum().backward()
    torch.testing.assert_close(prediction.grad, 2 * (prediction - target).detach())


def test_gradient_of_the_squared_luminance_error():
    prediction, target = batch()
    squared_luminance_error(prediction, target).sum().backward()
    p = prediction.detach()
    lum_p, lum_t = ((WEIGHTS * x**2).sum(dim=1).sqrt()[:, None] for x in (p, target))
    torch.testing.assert_close(prediction.grad, 2 * (lum_p - lum_t) * WEIGHTS * p / lum_p, rtol=1e-5, atol=1e-7)


def test_gradient_of_the_relative_squared_error():
    prediction, target = batch()
    relative_squared_error(prediction, target).sum().backward()
    torch.testing.assert_close(prediction.grad, 2 * (prediction.detach() - target) / (target**2).mean())


def test_the_luminance_term_pulls_a_dead_channel_by_the_error_of_the_others():
    # Blue is right where it is; the others' error alone moves it.
    prediction = torch.tensor([[0.2, 0.2, 0.5]], requires_grad=True)
    squared_luminance_error(prediction, torch.tensor([[0.8, 0.8, 0.5]])).sum().backward()
    assert prediction.grad[0, 2] < -1e-3


# --- Black


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize("weights", [(1, 0.01), (0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize("black", ["prediction", "target", "both", "a pixel of each", "nearly"])
def test_gradients_are_finite_at_black(black, weights, n_channels):
    prediction, target = (tensor.detach() for tensor in batch(n_channels, dtype=torch.float32))
    if black in ("prediction", "both"):
        prediction.zero_()
    if black in ("target", "both"):
        target.zero_()
    if black == "a pixel of each":
        prediction[2], target[4] = 0, 0
        prediction[5], target[5] = 0, 0
    if black == "nearly":
        prediction.mul_(1e-25)
        target.mul_(1e-30)
    prediction.requires_grad_()
    loss = CompositeLoss(*weights)(prediction, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(prediction.grad).all()
    # No spike: below 2 / mean square of a batch that counts as black, and the root's slope at 0.
    assert prediction.grad.abs().max() < 1e3


def test_gradients_are_finite_where_prediction_and_target_agree():
    target = batch(dtype=torch.float32)[1]
    prediction = target.clone().requires_grad_()
    CompositeLoss(1, 1)(prediction, target).backward()
    assert torch.equal(prediction.grad, torch.zeros_like(target))


# --- The weighted sum


@pytest.mark.parametrize("weights", [(1, 0.01), (0.5, 3), (0, 0), (1, 0), (0, 1)])
def test_composite_loss_is_the_weighted_sum(weights):
    prediction, target = batch()
    terms = [
        ((prediction - target) ** 2).mean(),
        (((WEIGHTS * prediction**2).sum(1).sqrt() - (WEIGHTS * target**2).sum(1).sqrt()) ** 2).mean(),
        (((prediction - target) ** 2).sum() / (target**2).sum()).sqrt(),
    ]
    expected = sum(weight * term for weight, term in zip((1, *weights), terms, strict=True))
    loss = CompositeLoss(*weights)(prediction, target)
    assert loss.shape == ()
    # The relative term's root is taken with 1e-8 under it.
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1.1e-4 * weights[1])


def test_by_default_the_loss_is_torchs_mean_squared_error():
    prediction, target = batch()
    torch.testing.assert_close(CompositeLoss()(prediction, target), nn.MSELoss()(prediction, target))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_channels", CHANNELS)
def test_a_perfect_prediction_has_exactly_no_loss(n_channels, dtype):
    _, target = batch(n_channels, dtype=dtype)
    assert CompositeLoss(1, 1)(target, target).item() == 0
    assert CompositeLoss(1, 1)(target * 0, target * 0).item() == 0


@pytest.mark.parametrize(
    ("weights", "left_out"), [((0, 1), "squared_luminance_error"), ((1, 0), "relative_squared_error")]
)
def test_a_weight_of_0_leaves_the_term_out(monkeypatch, weights, left_out):
    prediction, target = batch()
    monkeypatch.setattr(_losses, left_out, lambda p, t, *weight: torch.full_like(p, torch.nan))
    assert torch.isfinite(CompositeLoss(*weights)(prediction, target))
    assert torch.isnan(CompositeLoss(1, 1)(prediction, target))


# --- Weights of the values


@pytest.mark.parametrize("weights", [(0, 0), (1, 0), (0, 1)])
def test_weights_of_0_and_1_pick_observations(weights):
    prediction, target = batch()
    kept = torch.tensor([1, 0, 1, 1, 0, 0, 1], dtype=torch.bool)
    weight = kept[:, None].double().expand_as(target)
    loss = CompositeLoss(*weights)
    torch.testing.assert_close(loss(prediction, target, weight), loss(prediction[kept], target[kept]))


@pytest.mark.parametrize("weights", [(0, 0), (1, 0), (0, 1)])
def test_the_unit_of_the_weights_does_not_matter(weights):
    prediction, target = batch()
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = CompositeLoss(*weights)
    torch.testing.assert_close(loss(prediction, target, weight), loss(prediction, target, 1e-30 * weight))


def test_a_luminance_weighs_as_much_as_the_least_of_its_channels():
    prediction, target = batch()
    weight = torch.ones_like(target)
    weight[2, 1] = 0
    expected = (prediction - target).square()[weight > 0].mean() + squared_luminance_error(prediction, target)[
        torch.arange(7) != 2
    ].mean()
    torch.testing.assert_close(CompositeLoss(1)(prediction, target, weight), expected)


@pytest.mark.parametrize("weights", [(1, 1), (0, 0)])
def test_a_batch_without_weight_has_no_loss_and_finite_gradients(weights):
    prediction, target = batch(dtype=torch.float32)
    loss = CompositeLoss(*weights)(prediction, target, torch.zeros_like(target))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(prediction.grad).all()
