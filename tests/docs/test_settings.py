"""docs/settings.md is what the code says."""

import pytest

from service.settings import Settings
from tools.settings_page import PAGE, page, values


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_every_setting_is_listed_with_its_default() -> None:
    text = PAGE.read_text()
    for name, field in Settings.model_fields.items():
        default = "-" if field.default is None else f"`{field.default}`"
        assert f"| `STEEL_{name.upper()}` | {default} | {values(field)} | {field.description} |" in text


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("port", "integer from 0 to 65,535"),
        ("device", "`auto`, `cpu`, `openvino`, `cuda`, `tensorrt`"),
        ("max_batch_size", "integer from 1 to 256"),
        ("cuda_graphs", "`true`, `false`"),
        ("batch_timeout_ms", "number from 0 to 1,000"),
        ("request_timeout_s", "number > 0, ≤ 3,600"),
        ("max_head_bytes", "integer from 1,024 to 1,048,576"),
        ("api_key", "text"),
        ("tls_key", "path"),
    ],
)
def test_values_are_described(name: str, described: str) -> None:
    assert values(Settings.model_fields[name]) == described
