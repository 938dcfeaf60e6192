"""A training that is over soon, for tests to vary."""

from model_export.training.config import TrainConfig

QUICK = TrainConfig(
    drawn=10,
    epochs=2,
    samples_per_epoch=8,
    batch_size=4,
    crop_width=64,
    precision="fp32",
    validate_every=2,
    workers=0,
)
