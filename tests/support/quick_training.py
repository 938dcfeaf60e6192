"""Configurations of trainings that take seconds; tests vary them."""

from dataclasses import replace

from model_export.network.steel_network import NetworkConfig
from model_export.training.config import TrainConfig

QUICK = TrainConfig(
    network=NetworkConfig(input_reduction=2),
    drawn=10,
    epochs=2,
    samples_per_epoch=8,
    batch_size=4,
    crop_width=64,
    precision="fp32",
    validate_every=2,
    workers=0,
    pictures=1,
)

TINY = replace(
    QUICK,
    network=NetworkConfig(input_reduction=2, encoder_depth=4, decoder_channels=(8, 4)),
    drawn=5,
    samples_per_epoch=2,
    batch_size=2,
)
