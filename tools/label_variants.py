"""``python -m tools.label_variants``: write the table of label files in docs/labels.md from its tests."""

from pathlib import Path

from tests.model_export.labels.variants import VARIANTS

PAGE = Path(__file__).parents[1] / "docs" / "labels.md"
START, END = "<!-- variants -->\n", "<!-- end of variants -->\n"


def table() -> str:
    """Return the table: a row for each variant, in the order of the tests."""
    rows = ["| format | label file | what comes out |\n", "| --- | --- | --- |\n"]
    rows += [f"| {one.format} | {one.title} | {one.outcome} |\n" for one in VARIANTS]
    return "".join(rows)


def page(text: str) -> str:
    """Return the text of the page with the table of today."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
