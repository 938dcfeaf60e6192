"""Training, evaluation and export of the segmentation model."""
