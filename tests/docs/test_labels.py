"""docs/labels.md holds the table of label files as the tests have it."""

from tests.model_export.labels.variants import VARIANTS
from tools.label_variants import PAGE, page


def test_the_table_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run `make docs`"


def test_the_number_of_variants_is_said() -> None:
    assert f"{len(VARIANTS)} label files" in PAGE.read_text(encoding="utf-8")
