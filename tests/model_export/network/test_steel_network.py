"""The network, as trained and as served."""

import pytest
import torch

from model_export.network.steel_network import NetworkConfig, ServedNetwork, SteelNetwork


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        NetworkConfig(decoder_channels=(64, 32, 16, 16, 8)),
        NetworkConfig(decoder="fpn", encoder="resnet34"),
    ],
    ids=["quarter resolution", "full resolution", "fpn"],
)
def test_logits_have_the_resolution_of_the_strip(config: NetworkConfig) -> None:
    network = SteelNetwork(config).eval()
    with torch.inference_mode():
        masks, classes = network(torch.rand(1, 1, 64, 96) * 255)
    assert masks.shape == (1, 4, 64, 96)
    assert classes.shape == (1, 4)


def test_the_served_network_keeps_the_contract() -> None:
    torch.manual_seed(0)
    network = SteelNetwork(NetworkConfig()).eval()
    image = torch.randint(0, 256, (1, 256, 1600), dtype=torch.uint8)
    with torch.inference_mode():
        classes, columns = ServedNetwork(network)(image)
        logits, class_logits = network(image.unsqueeze(1).float())
    assert (columns.shape, columns.dtype) == ((1, 4, 1600, 256), torch.uint8)
    expected = (torch.sigmoid(logits) * 255).round().to(torch.int16).transpose(2, 3)
    assert int((columns.to(torch.int16) - expected).abs().max()) <= 1
    torch.testing.assert_close(classes, torch.sigmoid(class_logits))


def test_a_part_that_the_encoder_lacks_cannot_be_frozen() -> None:
    network = SteelNetwork(NetworkConfig())
    with pytest.raises(ValueError, match=r"expected modules of the encoder .conv1, bn1.* got ..stem"):
        network.freeze(["stem"])
    network.freeze(["layer1"])
    network.train()
    assert not network.encoder.get_submodule("layer1").training
    assert network.encoder.get_submodule("layer2").training


def test_the_truth_of_a_thin_line_survives_at_the_decoders_resolution() -> None:
    network = SteelNetwork(NetworkConfig(input_reduction=2, encoder_depth=4, decoder_channels=(8, 4)))
    masks = torch.zeros(1, 4, 64, 96)
    masks[:, 1, :, 40:43] = 1
    reduced = network.downsample(masks)
    assert reduced.shape == (1, 4, 8, 12)
    torch.testing.assert_close(reduced[0, 1, :, 5], torch.full((8,), 3 / 8))
    assert float(reduced.sum()) * 64 == float(masks.sum())
