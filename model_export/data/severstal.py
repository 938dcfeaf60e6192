"""Facts of Kaggle's "Severstal: Steel Defect Detection": the size of its strips and its classes."""

from service.model.metadata import DefectClass

HEIGHT = 256
"""Rows of a strip."""
WIDTH = 1600
"""Columns of a strip."""
CLASSES = tuple(
    DefectClass(id=number, name=name)
    for number, name in enumerate(("pitting", "vertical line", "scratch", "patch"), 1)
)
"""The classes, named by appearance: Severstal did not name them. A data set that names none has these."""
