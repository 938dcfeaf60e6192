"""Jobs on disk."""

from pathlib import Path

from bench.jobs import Job, read_jobs, write_jobs
from tests.support.bench_answers import SEEN


def test_jobs_survive_their_files(tmp_path: Path) -> None:
    jobs = [Job(b"one", SEEN, 2), Job(b"two", SEEN[::-1], 0)]
    write_jobs(jobs, tmp_path)
    assert read_jobs(tmp_path) == jobs
