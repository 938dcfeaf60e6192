"""The network that a training starts from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model_export.data.classes import Classes, listed
from model_export.data.labelled_strip import LabelledStrip
from model_export.data.tile import Tile, cut_frame
from model_export.errors import DataError
from model_export.network.folded_weights import load_folded_weights
from model_export.network.patch_encoder import PatchEncoder
from model_export.network.steel_network import SteelNetwork
from model_export.training.checkpoint import load_checkpoint, restore_network
from model_export.training.config import TrainConfig
from service.model.metadata import Split

_NORM_STRIPS = 8
"""Training strips in the batch that sets the batch norms of folded weights."""


def build_network(
    config: TrainConfig, strips: Sequence[LabelledStrip], split: Split, classes: Classes, tile: Tile
) -> SteelNetwork:
    """Build the network with the weights that the configuration names.

    Raises:
        DataError: if ``start_from`` holds another network.
    """
    if config.start_from is not None:
        return _start(config, config.start_from, classes)
    if config.encoder_weights == "none":
        return SteelNetwork(config.network, classes=len(classes))
    if config.encoder_weights == "imagenet":
        try:
            return SteelNetwork(config.network, "imagenet", classes=len(classes))
        except OSError as error:
            raise DataError(
                f"the ImageNet weights of {config.network.encoder} cannot be downloaded: where there is "
                "internet, python -m model_export fetch-weights writes a file; name it with --encoder-weights"
            ) from error
    network = SteelNetwork(config.network, classes=len(classes))
    if isinstance(network.encoder, PatchEncoder):
        network.encoder.load_patches(Path(config.encoder_weights))
        return network
    names = set(split.train)
    first = [strip for strip in strips if strip.name in names][:_NORM_STRIPS]
    tiles = [cut_frame(strip.load()[0], tile, strip.name).tiles[0] for strip in first]
    images = torch.from_numpy(np.stack(tiles)).unsqueeze(1).float()
    load_folded_weights(network.encoder, Path(config.encoder_weights), network.encoder_input(images))
    return network


def _start(config: TrainConfig, path: Path, classes: Classes) -> SteelNetwork:
    start = load_checkpoint(path)
    if replace(start.config.network, input_reduction=config.network.input_reduction) != config.network:
        raise DataError(
            f"{path} holds another network: expected {config.network}, got {start.config.network}"
        )
    if start.classes == classes:
        return restore_network(replace(start, config=config))
    network = SteelNetwork(config.network, classes=len(classes))
    own = network.class_layers()
    weights = {name: tensor for name, tensor in start.averaged.items() if name not in own}
    network.load_state_dict(network.state_dict() | weights)
    print(
        f"{path} knows other classes ({listed(start.classes)}): its encoder and decoder are taken, the last "
        "layers begin anew"
    )
    return network.eval()
