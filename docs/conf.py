"""Sphinx's configuration. ``make docs`` builds the pages; any warning is an error."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import sklrelight
from sklrelight.utils import _estimators

project = "sklrelight"
author = "The sklrelight developers"
copyright = f"2026, {author}"
version = release = sklrelight.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    # docs/_ext
    "public_members",
    "repository_pages",
]
# A property that an estimator inherits from scikit-learn refers to the glossary of scikit-learn's documentation.
suppress_warnings = ["ref.term"]

templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/*.ipynb", "gallery/*.py", "gallery/*.md5", "gallery/*.zip"]

# Links to other projects need their lists of names, which a network brings. They are made only for publishing.
if os.environ.get("SKLRELIGHT_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    }

default_role = "literal"
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "sklrelight"
html_static_path = ["_static"]
html_css_files = ["sklrelight.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sklrelight"},
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
html_sidebars = {"repository/CHANGELOG": [], "conventions": []}

# HTML displays of estimators in the gallery link to the API pages of this build.
_estimators.DOCUMENTATION_URL = ".."

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    # The other scripts are for the command line.
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "within_subsection_order": "gallery_pages.page_order",
    "reset_modules": ("matplotlib", "gallery_pages.warnings_are_errors"),
    "reset_modules_order": "both",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "copyfile_regex": r"",
    "doc_module": ("sklrelight",),
    "backreferences_dir": "generated/backreferences",
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "thumbnail_size": (400, 280),
}
