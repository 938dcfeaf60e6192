"""One thread for torch, since another test runs beside: threads that wait for each other waste time."""

import torch

torch.set_num_threads(1)
