"""scikit-learn compatible estimators for image-based relighting."""

__version__ = "0.1.0"
