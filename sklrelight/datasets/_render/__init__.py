"""Rendered captures: a scene, and the ray caster that it is seen by."""
