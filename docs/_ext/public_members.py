"""Which members the API's pages show: those of this package, without what scikit-learn adds to every estimator."""


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out members that were defined elsewhere; scikit-learn documents those."""
    if what != "class" or skip:
        return None
    if name.startswith("set_") and name.endswith("_request"):
        return True
    module = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None)
    if module is not None and not module.startswith("sklrelight"):
        return True
    return None


def setup(app):
    """Connect to autodoc."""
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True}
