"""Sizes that the models in torch and the mixture in NumPy have to agree on."""

__all__ = ["HEADS", "KEY", "LARGEST", "NEIGHBOURS", "N_BINS", "N_LOBES", "STEPS", "VALUE"]

# Heads of the mixture's attention, and the widths of their keys and of all values.
HEADS, KEY, VALUE = 4, 12, 32
# Features are clipped at it.
LARGEST = 4.0
# Bins of the angle between normal and half vector: narrow where highlights are.
N_BINS = 16
# Lobes of reflection that the pixels of a capture mix.
N_LOBES = 3
# Steps along the light, in pixels, at which the horizon is looked for.
STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.5, 10.0, 14.0, 19.0, 26.0)
# Steps along the light, in pixels, at which neighbours are looked at.
NEIGHBOURS = (-3.0, 3.0, 7.0)
