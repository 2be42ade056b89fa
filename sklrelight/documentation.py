"""Where the documentation is, for the links in scikit-learn's HTML display of an estimator."""

__all__ = ["DOCUMENTATION_URL", "DocumentedEstimator"]

# The folder with the pages, without a slash at its end. ``make docs`` sets it to a relative one.
DOCUMENTATION_URL = "https://sklrelight.readthedocs.io/en/latest"


class DocumentedEstimator:
    """Mixin, to the left of scikit-learn's classes: links an estimator's HTML display to its page of the API.

    Only classes that are public, and pages by their public name, are linked; a subclass of a user's own is not.

    Examples
    --------
    >>> from sklrelight.interpolation import NearestPhotograph
    >>> NearestPhotograph()._get_doc_link().removeprefix(DOCUMENTATION_URL)
    '/generated/sklrelight.interpolation.NearestPhotograph.html'
    """

    _doc_link_module = "sklrelight"
    _doc_link_template = "{url}/generated/{name}.html"

    def _doc_link_url_param_generator(self):
        # Where it is imported from, which is not where it is defined: sklrelight, or one of its packages.
        package = ".".join(type(self).__module__.split(".")[:-1])
        return {"url": DOCUMENTATION_URL, "name": f"{package}.{type(self).__name__}"}
