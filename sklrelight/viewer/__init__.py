from .decoder import Decoder
from .distillation import distill
