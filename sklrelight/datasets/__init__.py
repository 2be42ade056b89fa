"""Scenes and captures: generated (``make_*``) and read from disk (``load_*``)."""
