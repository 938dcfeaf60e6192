"""The evidence for a model as one page of pictures: data, training, answers, thresholds."""
