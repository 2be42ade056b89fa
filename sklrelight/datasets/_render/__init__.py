"""The rendered scene and its ray caster."""
