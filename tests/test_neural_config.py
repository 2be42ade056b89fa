"""What a fit is told: each "auto" is resolved in one place, and the result can be read."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklrelight import RelightingMLPRegressor
from sklrelight.neural import BatchSizeStages, Observations, TrainingConfig
from sklrelight.neural._config import choose_max_observations, has_bfloat16_units, resolve_device


def observations(n_lights=8, image_shape=(10, 10), n_pixel_features=4):
    """Black photographs."""
    n_pixels = image_shape[0] * image_shape[1] if image_shape else 1
    targets = torch.zeros(n_lights, 1, 1).expand(n_lights, n_pixels, 3)
    return Observations(torch.zeros(n_lights, 3), torch.zeros(n_pixels, n_pixel_features), targets, image_shape)


def resolve(data=None, seed=0, n_members=1, n_rounds=1, **parameters):
    regressor = RelightingMLPRegressor(**{"device": "cpu", **parameters})
    data = observations() if data is None else data
    return TrainingConfig.resolve(regressor.get_params(deep=False), data, seed, n_members, n_rounds)


class TestConfig:
    def test_no_auto_is_left_but_where_a_compiler_may_be_missing(self):
        values = dataclasses.asdict(resolve())
        assert "auto" not in {value for name, value in values.items() if name != "compile"}

    def test_cannot_be_changed_and_says_all_when_printed(self):
        config = resolve(hidden_layer_sizes=[8, 9], learning_rate_init=0.01, seed=7)
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.batch_size = 3
        shown = str(config)
        for text in (
            "hidden_layer_sizes=(8, 9)",
            "learning_rate_init=0.01",
            "batch_size=100",
            "device='cpu'",
            "seed=7",
        ):
            assert text in shown
        assert config == resolve(hidden_layer_sizes=[8, 9], learning_rate_init=0.01, seed=7)

    def test_has_a_field_for_each_parameter_that_matters_while_training(self):
        names = {field.name for field in dataclasses.fields(TrainingConfig)}
        parameters = RelightingMLPRegressor().get_params(deep=False).keys()
        assert parameters - names == {"callbacks", "checkpoint", "random_state"}
        assert names - parameters == {"seed", "n_planned"}

    def test_is_that_of_the_fit(self):
        X = torch.linspace(-1, 1, 100).reshape(-1, 1).numpy()
        config = RelightingMLPRegressor((8,), random_state=0, batch_size=20).fit(X, X.ravel()).config_
        assert isinstance(config, TrainingConfig)
        assert (config.batch_size, config.light_pixel_products, config.precision) == (20, False, "float32")

    def test_products_need_pixels_with_features_and_a_hidden_layer(self):
        assert resolve().light_pixel_products
        assert not resolve(hidden_layer_sizes=()).light_pixel_products
        assert not resolve(observations(50, (), 0)).light_pixel_products
        assert not resolve(light_pixel_products=False).light_pixel_products


class TestBatchSize:
    @pytest.mark.parametrize(
        ("n_lights", "image_shape", "expected"),
        [
            (10, (70, 70), 5000),
            (40, (50, 50), 2500),
            (200, (20, 20), 1000),
            (8, (8, 8), 64),  # an eighth of the observations
            (4, (2, 2), 32),
            (10**5, (), 5000),  # a plain table
            (800, (), 100),
        ],
    )
    def test_between_few_lights_batches_are_larger(self, n_lights, image_shape, expected):
        assert resolve(observations(n_lights, image_shape)).batch_size == expected

    def test_one_that_is_given_is_kept(self):
        assert resolve(batch_size=17).batch_size == 17


class TestBudget:
    @settings(deadline=None)
    @given(st.integers(1, 10**6), st.integers(1, 10**6))
    def test_never_rises_with_the_lights_and_at_most_doubles(self, one, other):
        few, many = sorted((one, other))
        assert choose_max_observations(many) <= choose_max_observations(few) <= 2 * choose_max_observations(10_000)

    def test_auto_is_at_most_100_epochs(self):
        assert resolve(observations(8, (10, 10))).max_observations == 100 * 800
        large = observations(8, (400, 400))
        assert resolve(large).max_observations == choose_max_observations(8)

    def test_members_share_observations_and_time(self):
        config = resolve(max_observations=1000, max_time=60, n_members=3, n_rounds=2)
        assert (config.max_observations, config.max_time) == (333, 30)
        assert resolve(max_observations=2, n_members=3).max_observations == 1
        assert resolve(n_members=4).max_observations == 100 * 800 // 4
        assert resolve(max_observations=None, max_time=1, n_members=4).max_observations is None

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"max_observations": 1000}, 1000),
            ({"max_observations": None, "max_time": 1}, None),
            ({"max_observations": None, "callbacks": [BatchSizeStages(3, max_epochs=2)]}, 6 * 800),
            ({"max_observations": 1000, "callbacks": [("stages", BatchSizeStages(3, max_epochs=2))]}, 1000),
            (
                {
                    "max_observations": None,
                    "callbacks": [BatchSizeStages(1, max_epochs=2)],
                    "validation_fraction": 0.25,
                },
                2 * 600,
            ),
        ],
        ids=str,
    )
    def test_what_is_planned_is_the_budget_or_all_stages(self, parameters, expected):
        assert resolve(**parameters).n_planned == expected

    @pytest.mark.parametrize("validation_fraction", [0, 0.001, 0.3, 0.999])
    def test_what_is_planned_is_what_is_trained_on(self, validation_fraction):
        X = torch.linspace(-1, 1, 60).reshape(-1, 1).numpy()
        parameters = {"max_observations": None, "callbacks": [BatchSizeStages(2, max_epochs=2)], "random_state": 0}
        regressor = RelightingMLPRegressor((4,), validation_fraction=validation_fraction, **parameters)
        regressor.fit(X, X.ravel())
        assert regressor.n_observations_ == regressor.config_.n_planned


class TestPrecision:
    def test_auto_is_float32_for_little_data(self):
        assert resolve(observations(8, (10, 10))).precision == "float32"

    def test_auto_is_bfloat16_for_photographs_where_there_are_units(self):
        expected = "bfloat16" if has_bfloat16_units(torch.device("cpu")) else "float32"
        assert resolve(observations(10, (120, 120))).precision == expected

    def test_one_that_is_given_is_kept(self):
        assert resolve(observations(10, (120, 120)), precision="float32").precision == "float32"
        assert resolve(precision="bfloat16").precision == "bfloat16"


@pytest.mark.parametrize(
    ("widths", "max_observations", "max_time", "expected"),
    [
        ((256,) * 3, 10**7, None, False),
        ((600,) * 5, 10**7, None, False),
        ((600,) * 5, 10**9, None, "auto"),
        ((600,) * 5, 10**9, 10, False),
        ((600,) * 5, 10**9, 1000, "auto"),
        ((600,) * 5, None, 10, False),
        ((600,) * 5, None, 1000, "auto"),
    ],
)
def test_auto_compiles_long_fits_only(widths, max_observations, max_time, expected):
    parameters = {"hidden_layer_sizes": widths, "max_observations": max_observations, "max_time": max_time}
    assert resolve(**parameters).compile == expected
    assert resolve(**parameters, compile=True).compile is True
    assert resolve(**parameters, compile=False).compile is False


class TestDevice:
    def test_auto_is_cuda_where_there_is_one(self):
        assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
        assert resolve_device("cpu") == torch.device("cpu")

    def test_one_that_is_not_there_is_refused(self):
        with pytest.raises(ValueError, match="device='abacus' cannot be used here"):
            resolve_device("abacus")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_cuda_without_a_card_is_refused(self):
        with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
            resolve_device("cuda")
