"""What a fit is told: each "auto" is resolved in one place, and the result can be read."""

import dataclasses

import pytest
import torch

from sklrelight import RelightingMLPRegressor, make_relighter
from sklrelight.neural import BatchSizeStages, Observations, TrainingConfig
from sklrelight.neural._config import _LIGHTS_PER_PIXEL as LIGHTS_PER_PIXEL
from sklrelight.neural._config import has_bfloat16_units, resolve_device
from sklrelight.neural._training import Membership


def observations(n_lights=8, image_shape=(10, 10), n_pixel_features=4):
    """Black photographs."""
    n_pixels = image_shape[0] * image_shape[1] if image_shape else 1
    targets = torch.zeros(n_lights, 1, 1).expand(n_lights, n_pixels, 3)
    return Observations(torch.zeros(n_lights, 3), torch.zeros(n_pixels, n_pixel_features), targets, image_shape)


def resolve(data=None, seed=0, membership=None, **parameters):
    regressor = RelightingMLPRegressor(**{"device": "cpu", **parameters})
    data = observations() if data is None else data
    return TrainingConfig.resolve(regressor.get_params(deep=False), data, seed, membership)


class TestConfig:
    def test_no_auto_is_left_but_where_a_compiler_may_be_missing(self):
        values = dataclasses.asdict(resolve())
        assert "auto" not in {value for name, value in values.items() if name != "compile"}

    def test_cannot_be_changed_and_says_all_when_printed(self):
        parameters = {"hidden_layer_sizes": [8, 9], "pixel_layer_sizes": [7], "learning_rate_init": 0.01, "seed": 7}
        config = resolve(**parameters)
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.batch_size = 3
        shown = str(config)
        for text in (
            "hidden_layer_sizes=(8, 9)",
            "pixel_layer_sizes=(7,)",
            "learning_rate_init=0.01",
            "batch_size=100",
            "device='cpu'",
            "seed=7",
        ):
            assert text in shown
        assert config == resolve(**parameters)

    def test_has_a_field_for_each_parameter_that_matters_while_training(self):
        names = {field.name for field in dataclasses.fields(TrainingConfig)}
        parameters = RelightingMLPRegressor().get_params(deep=False).keys()
        assert parameters - names == {"callbacks", "checkpoint", "random_state"}
        assert names - parameters == {"seed", "n_planned", "lights_per_pixel", "output_offset", "output_scale"}

    def test_is_that_of_the_fit(self):
        X = torch.linspace(-1, 1, 100).reshape(-1, 1).numpy()
        config = RelightingMLPRegressor((8,), random_state=0, batch_size=20).fit(X, X.ravel()).config_
        assert isinstance(config, TrainingConfig)
        assert (config.batch_size, config.light_pixel_products, config.precision) == (20, False, "float32")

    def test_products_need_pixels_with_features_and_a_layer(self):
        assert resolve().light_pixel_products
        assert resolve(hidden_layer_sizes=()).light_pixel_products
        assert not resolve(hidden_layer_sizes=(), pixel_layer_sizes=()).light_pixel_products
        assert not resolve(observations(50, (), 0)).light_pixel_products
        assert not resolve(light_pixel_products=False).light_pixel_products


class TestPixelLayers:
    def test_pixels_are_seen_under_many_lights_or_all(self):
        assert resolve(observations(8)).lights_per_pixel == 8
        assert resolve(observations(300)).lights_per_pixel == LIGHTS_PER_PIXEL < 300

    def test_without_them_each_pixel_has_a_light_of_its_own(self):
        assert resolve(observations(100), pixel_layer_sizes=()).lights_per_pixel == 1

    def test_a_plain_table_has_none(self):
        config = resolve(observations(50, (), 0))
        assert (config.pixel_layer_sizes, config.lights_per_pixel) == ((), 1)

    def test_colburn2019_has_none(self):
        mlp = make_relighter("colburn2019").regressor["mlp"]
        config = resolve(observations(100), pixel_layer_sizes=mlp.pixel_layer_sizes)
        assert (config.pixel_layer_sizes, config.lights_per_pixel) == ((), 1)


class TestBatchSize:
    @pytest.mark.parametrize(
        ("n_lights", "image_shape", "expected"),
        [
            (10, (70, 70), 4096),
            (40, (50, 50), 4096),
            (8, (8, 8), 64),  # an eighth of the observations
            (4, (2, 2), 32),
            (10**5, (), 4096),  # a plain table
            (800, (), 100),
        ],
    )
    def test_auto_is_the_same_but_for_few_observations(self, n_lights, image_shape, expected):
        assert resolve(observations(n_lights, image_shape)).batch_size == expected

    def test_one_that_is_given_is_kept(self):
        assert resolve(batch_size=17).batch_size == 17


class TestBudget:
    def test_auto_is_at_most_100_epochs_and_the_same_for_all_that_are_larger(self):
        assert resolve(observations(8, (10, 10))).max_observations == 100 * 800
        few, many = (resolve(observations(n_lights, (400, 400))).max_observations for n_lights in (8, 500))
        assert few == many < 100 * 8 * 400**2

    def test_members_share_observations_and_time(self):
        config = resolve(max_observations=1000, max_time=60, membership=Membership(n_members=3, n_rounds=2))
        assert (config.max_observations, config.max_time) == (333, 30)
        assert resolve(max_observations=2, membership=Membership(n_members=3)).max_observations == 1
        assert resolve(membership=Membership(n_members=4)).max_observations == 100 * 800 // 4
        four = Membership(n_members=4)
        assert resolve(max_observations=None, max_time=1, membership=four).max_observations is None
        # What is left is for what comes after the members.
        config = resolve(max_observations=1000, max_time=60, membership=Membership(n_members=2, n_rounds=1, share=0.75))
        assert (config.max_observations, config.max_time) == (375, 45)

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
    parameters["pixel_layer_sizes"] = ()
    assert resolve(**parameters).compile == expected
    assert resolve(**parameters, compile=True).compile is True
    assert resolve(**parameters, compile=False).compile is False


def test_layers_of_the_pixel_count_once_for_all_its_lights():
    # The same weights before and after the join: before it, they are used for one in 64 observations.
    parameters = {"max_observations": 10**9, "max_time": None}
    data = observations(64)
    after = resolve(data, hidden_layer_sizes=(600,) * 5, pixel_layer_sizes=(), **parameters)
    before = resolve(data, hidden_layer_sizes=(8,), pixel_layer_sizes=(600,) * 5, **parameters)
    assert (after.compile, before.compile) == ("auto", False)


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
