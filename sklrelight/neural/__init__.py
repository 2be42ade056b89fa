"""The network: a scikit-learn regressor over skorch, and the parts for those who build networks of their own."""

from ._batches import Observations, TrainingBatches
from ._callbacks import BatchSizeStages, LinearDecay, PlateauLearningRate, TrainingProgress
from ._clustered import ClusteredMLPRegressor
from ._config import TrainingConfig
from ._losses import CompositeLoss
from ._modules import RelightingMLP
from ._net import RelightingNet
from ._optimizers import MuonAdamW
from ._regressor import RelightingMLPRegressor
from ._training import fit_side_by_side

__all__ = [
    "BatchSizeStages",
    "ClusteredMLPRegressor",
    "CompositeLoss",
    "LinearDecay",
    "MuonAdamW",
    "Observations",
    "PlateauLearningRate",
    "RelightingMLP",
    "RelightingMLPRegressor",
    "RelightingNet",
    "TrainingBatches",
    "TrainingConfig",
    "TrainingProgress",
    "fit_side_by_side",
]
