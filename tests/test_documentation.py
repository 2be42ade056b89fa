import importlib
import re

import pytest
from sklearn.base import BaseEstimator

import sklrelight
from sklrelight import blending, interpolation, make_relighter
from sklrelight.utils import _estimators

ESTIMATORS = [
    getattr(module, name)
    for module in (sklrelight, blending, interpolation)
    for name in module.__all__
    if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), BaseEstimator)
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_the_link_names_what_can_be_imported(estimator):
    link = estimator.__new__(estimator)._get_doc_link()
    path = re.fullmatch(r"(.*)/generated/(.*)\.html", link)
    assert path[1] == _estimators.DOCUMENTATION_URL
    module, name = path[2].rsplit(".", 1)
    assert getattr(importlib.import_module(module), name) is estimator


def test_the_display_of_a_relighter_links_all_its_parts(monkeypatch):
    monkeypatch.setattr(_estimators, "DOCUMENTATION_URL", "..")
    html = make_relighter()._repr_html_()
    for name in ("Relighter", "LogExposureScaler", "PixelLightFeaturizer", "RelightingMLPRegressor"):
        assert f'href="../generated/sklrelight.{name}.html"' in html


def test_a_subclass_elsewhere_has_no_link():
    class Own(interpolation.NearestPhotograph):
        pass

    assert Own()._get_doc_link() == ""
