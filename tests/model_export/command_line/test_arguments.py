"""Arguments that the parser would take without a word."""

import pytest

from model_export.command_line.arguments import check_arguments
from model_export.errors import OptionError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--out", "a", "--out", "b"], "--out: expected once"),
        (["train", "--out=a", "--out", "b"], "--out: expected once"),
        (["train", "--batch-size", "1", "--batch_size", "2"], "--batch-size: expected once"),
        (["train", "--resume", "--no-resume"], "--resume: expected once"),
        (["train", "--teacher", "a", "--teacher", "b"], "--teacher: expected once, got it again; several"),
        (["train", "--config", "a", "--config=b"], "--config: expected once"),
        (["train", "--data", ""], "--data: expected a value, got an empty one"),
        (["train", "--data="], "--data: expected a value, got an empty one"),
        ([""], "the command: expected a value, got an empty one"),
    ],
)
def test_what_is_ambiguous_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check_arguments(arguments)


def test_what_may_be() -> None:
    check_arguments(["export", "--notice", "", "--class-names", "a", "b", "--no-gpu"])
    check_arguments(["compare", "a", "b", "--", "--data", "--data"])
