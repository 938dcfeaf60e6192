"""Connected defects, matched one to one."""

import numpy as np

from model_export.evaluation.instances import count_instances


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A mask ``[60, 40]`` with boxes: first and last column, first and last row."""
    answer = np.zeros((60, 40), dtype=np.bool_)
    for left, right, top, bottom in boxes:
        answer[left:right, top:bottom] = True
    return answer


def test_each_defect_is_matched_once() -> None:
    true = mask((0, 10, 0, 10), (20, 30, 0, 10), (40, 50, 0, 10))
    halves = mask((0, 10, 0, 4), (0, 10, 5, 10), (20, 30, 2, 12))  # two for the first, one for the second
    assert count_instances(halves, true) == (3, 3, 2)
    one_for_two = mask((0, 30, 0, 10))
    assert count_instances(one_for_two, true) == (1, 3, 1)
    assert count_instances(mask((0, 60, 30, 40)), true) == (1, 3, 0)


def test_empty_masks() -> None:
    some = mask((0, 3, 0, 3))
    assert count_instances(None, some) == (0, 1, 0)
    assert count_instances(some, mask()) == (1, 0, 0)
    assert count_instances(mask(), mask()) == (0, 0, 0)


def test_corners_do_not_connect() -> None:
    assert count_instances(mask((0, 2, 0, 2), (2, 4, 2, 4)), mask((0, 4, 0, 4))) == (2, 1, 1)
