"""A target with its measured value."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A target with its measured value."""

    name: str
    relation: str
    """One of <=, >=, <, >, ==."""
    target: float
    value: float | None
    """None if it was not measured."""
    unit: str = ""
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the target was met; None if nothing was measured."""
        if self.value is None:
            return None
        relations: dict[str, Callable[[float, float], bool]] = {
            "<=": lambda value, target: value <= target,
            ">=": lambda value, target: value >= target,
            "<": lambda value, target: value < target,
            ">": lambda value, target: value > target,
            "==": lambda value, target: value == target,
        }
        return relations[self.relation](self.value, self.target)
