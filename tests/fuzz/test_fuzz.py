"""A few hundred of the cases of ``make fuzz``, the same every time."""

from tests.fuzz.__main__ import FuzzConfig, fuzz


def test_answers_are_those_that_the_document_promises() -> None:
    assert fuzz(FuzzConfig(cases=200, seed=7)) >= 200
