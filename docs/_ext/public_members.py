"""Choice of the members that an API page shows: those of this package, without what scikit-learn adds to estimators."""


def skip_foreign(app, what, name, obj, skip, options):
    """Skip members that other packages define, which document them."""
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
