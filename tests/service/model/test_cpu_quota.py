"""Processors that the process may use."""

from pathlib import Path

import pytest

from service.model.cpu_quota import cpu_quota


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_threads_follow_the_quota(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    unlimited = cpu_quota(tmp_path / "none")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == (expected or unlimited)


@pytest.mark.parametrize(
    ("told", "expected"), [("1", 1), ("0", None), ("x", None), ("", None), ("9999", None)]
)
def test_a_scheduler_may_grant_fewer_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, expected: int | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    unlimited = cpu_quota(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert cpu_quota(tmp_path) == (expected or unlimited)
