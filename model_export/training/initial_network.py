"""The network that a training starts from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from model_export.data.labelled_strip import LabelledStrip
from model_export.errors import DataError
from model_export.network.folded_weights import load_folded_weights
from model_export.network.patch_encoder import PatchEncoder
from model_export.network.steel_network import SteelNetwork
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.config import TrainConfig
from model_export.training.loaders import whole_strips
from service.model.metadata import Split

_NORM_STRIPS = 8
"""Training strips in the batch that sets the batch norms of folded weights."""


def build_network(config: TrainConfig, strips: Sequence[LabelledStrip], split: Split) -> SteelNetwork:
    """Build the network with the weights that the configuration names.

    Raises:
        DataError: if ``start_from`` holds another network.
    """
    if config.start_from is not None:
        start = load_checkpoint(config.start_from)
        if replace(start.config.network, input_reduction=config.network.input_reduction) != config.network:
            raise DataError(
                f"{config.start_from} holds another network: expected {config.network}, got "
                f"{start.config.network}"
            )
        return restore_network(replace(start, config=config))
    if config.encoder_weights == "none":
        return SteelNetwork(config.network)
    if config.encoder_weights == "imagenet":
        try:
            return SteelNetwork(config.network, "imagenet")
        except OSError as error:
            raise DataError(
                f"the ImageNet weights of {config.network.encoder} cannot be downloaded: where there is "
                "internet, python -m model_export fetch-weights writes a file; name it with --encoder-weights"
            ) from error
    network = SteelNetwork(config.network)
    if isinstance(network.encoder, PatchEncoder):
        network.encoder.load_patches(Path(config.encoder_weights))
        return network
    names = set(split.train)
    first = [strip for strip in strips if strip.name in names][:_NORM_STRIPS]
    images = torch.stack([sample.image for sample in whole_strips(first)]).float()
    load_folded_weights(network.encoder, Path(config.encoder_weights), network.encoder_input(images))
    return network
