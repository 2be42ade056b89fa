"""scikit-learn's own checks, for every public estimator."""

import pytest
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklrelight import (
    BaselineRelighter,
    LogExposureScaler,
    PixelLightFeaturizer,
    Relighter,
    RelightingMLPRegressor,
    make_relighter,
)
from sklrelight.blending import BlendedRegressor
from sklrelight.interpolation import (
    HemisphericalHarmonics,
    LinearInterpolation,
    NearestPhotograph,
    PolynomialTextureMap,
    PretrainedInterpolation,
    RBFInterpolation,
    StackedRBFInterpolation,
)
from sklrelight.neural import ClusteredMLPRegressor
from sklrelight.surface import PhotometricStereo

# Enough to learn the checks' toy data; the default is meant for photographs.
QUICK = {"hidden_layer_sizes": (64,), "pixel_layer_sizes": (8,), "max_observations": 2000}

FLOAT32_OUTPUT = "predictions are float32, like the network; the check wants float64"
# The checks' toy lights have 10 columns in some, 2 to 5 in others.
TOO_WIDE = dict.fromkeys(
    [
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit",
        "check_regressor_data_not_an_array",
        "check_regressor_multioutput",
        "check_regressors_int",
        "check_regressors_no_decision_function",
        "check_regressors_train",
    ],
    "the check's lights span more than three dimensions, which are refused at once",
)
NOT_IN_A_PLANE = TOO_WIDE | dict.fromkeys(
    [
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_estimators_nan_inf",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_predict1d",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_pipeline_consistency",
        "check_supervised_y_2d",
    ],
    "the check's lights are neither directions nor in a plane, and are refused at once",
)
NO_DIRECTIONS = NOT_IN_A_PLANE | dict.fromkeys(
    [
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_fit2d_1sample",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_n_features_in",
        "check_readonly_memmap_input",
    ],
    "the check's lights are not directions, and are refused at once",
)
EXPECTED_FAILURES = {
    "LinearInterpolation": TOO_WIDE,
    "PolynomialTextureMap": NOT_IN_A_PLANE,
    "HemisphericalHarmonics": NO_DIRECTIONS,
    "PretrainedInterpolation": NO_DIRECTIONS,
    "PhotometricStereo": NO_DIRECTIONS,
    "ClusteredMLPRegressor": {"check_regressor_multioutput": FLOAT32_OUTPUT},
    "RelightingMLPRegressor": {"check_regressor_multioutput": FLOAT32_OUTPUT},
    "Relighter": {
        "check_regressor_multioutput": "the check's targets are negative in spite of the tag positive_only:"
        " radiance is not"
    },
}
EXPECTED_FAILURES["BaselineRelighter"] = EXPECTED_FAILURES["Relighter"]


def quick_relighter():
    # The interpolation beside the network learns the toy data.
    relighter = make_relighter(max_observations=300, random_state=0)
    return relighter.set_params(
        regressor__mlp__hidden_layer_sizes=(8,), regressor__mlp__pixel_layer_sizes=(8,), n_members=1
    )


@parametrize_with_checks(
    [
        LogExposureScaler(),
        LogExposureScaler(exposure=2, curve="power"),
        PixelLightFeaturizer(random_state=0),
        PixelLightFeaturizer(n_components=0, scaling="unit"),
        NearestPhotograph(),
        RBFInterpolation(),
        RBFInterpolation("gaussian", smoothing=0.1),
        StackedRBFInterpolation(random_state=0),
        LinearInterpolation(),
        PolynomialTextureMap(),
        HemisphericalHarmonics(),
        PretrainedInterpolation(),
        PhotometricStereo(),
        RelightingMLPRegressor(**QUICK, random_state=0),
        ClusteredMLPRegressor(n_steps=200, batch_size=32, random_state=0),
        Relighter(NearestPhotograph()),
        Relighter(RBFInterpolation()),
        BaselineRelighter(Relighter(RBFInterpolation())),
        Relighter(Ridge(), interpolation=NearestPhotograph()),
        BlendedRegressor(Ridge(), RBFInterpolation(), random_state=0),
        quick_relighter(),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator).__name__, {}),
)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    # Not colburn2019: its 20 epochs are meant for millions of observations, and learn nothing from a toy's two hundred.
    [RelightingMLPRegressor(), Relighter(), make_relighter()],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator).__name__, {}),
)
def test_estimator_checks_of_the_defaults(estimator, check):
    check(estimator)
