"""The optimizer and the learning rate of a training."""

import numpy as np
import torch

from model_export.network.steel_network import SteelNetwork
from model_export.training.config import TrainConfig


def build_optimizer(config: TrainConfig, network: SteelNetwork) -> torch.optim.AdamW:
    """Build AdamW over the parameters that train; the encoder has a learning rate of its own.

    Weights of convolutions and linear layers decay; biases and the parameters of norms, which scale and
    shift, do not. The last group is one with ``config.learning_rate``.
    """
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    groups = []
    for in_encoder, rate in (
        (True, config.learning_rate * config.encoder_rate),
        (False, config.learning_rate),
    ):
        own = [p for name, p in trained if name.startswith("encoder.") == in_encoder]
        groups += [
            {"params": [p for p in own if p.ndim <= 1], "lr": rate, "weight_decay": 0.0},
            {"params": [p for p in own if p.ndim > 1], "lr": rate, "weight_decay": config.weight_decay},
        ]
    return torch.optim.AdamW(groups)


def build_scheduler(
    optimizer: torch.optim.Optimizer, steps: int, warm_up: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Build the schedule of ``learning_rate_factor`` over ``steps`` steps."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, steps, warm_up)
    )


def learning_rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Rise linearly over the first ``warm_up`` share of the steps, then fall as a half cosine."""
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * (step - rising) / max(1, steps - rising))))
