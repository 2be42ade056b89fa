"""What models of before this version kept; removed as soon as nothing reads it."""

from dataclasses import dataclass

__all__ = ["Brightness"]


@dataclass(frozen=True)
class Brightness:
    """No longer used."""

    values: object
    stacking_weights: object
    share: float
    limit: float
    pixels: object
