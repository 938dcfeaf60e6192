"""The page: sections of pictures in one self-contained HTML file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from model_export.report.scores import ScoreRow


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption."""

    name: str
    """File name without its suffix."""
    caption: str
    png: bytes

    @property
    def source(self) -> str:
        """The PNG as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A section of the page: title, text and pictures."""

    title: str
    text: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Page:
    """Content of the page."""

    title: str
    facts: dict[str, str]
    """Rows of the header."""
    rows: Sequence[ScoreRow]
    """Scores of the classes."""
    sections: list[Section] = field(default_factory=list)


def chart_picture(name: str, caption: str, figure: Figure) -> Picture:
    """Render a chart as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return Picture(name, caption, buffer.getvalue())


def write_page(page: Page, folder: Path) -> Path:
    """Write ``report.html`` and every picture as a PNG; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for section in page.sections:
        for picture in section.pictures:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
    environment = Environment(
        loader=PackageLoader("model_export.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path = folder / "report.html"
    path.write_text(environment.get_template("page.html").render(page=page), encoding="utf-8")
    return path
