"""A recording of a page as a GIF: pictures, each shown for a while, with a line below them that says what happens."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page

CAPTION_HEIGHT_PX = 40
CAPTION_FONT = "DejaVuSans.ttf"
COLOURS = 96


@dataclass(slots=True)
class Recording:
    """Pictures and how long each is shown; the same picture again is shown for longer."""

    pictures: list[Image.Image] = field(default_factory=list)
    shown_ms: list[int] = field(default_factory=list)
    caption: str = ""

    def say(self, caption: str) -> None:
        """What the next pictures show."""
        self.caption = caption

    def hold(self, page: Page, shown_ms: int) -> None:
        """The page as it is when it has settled."""
        page.wait_for_timeout(400)
        self._take(page, shown_ms)

    def watch(self, page: Page, count: int, every_ms: int, *, shown_ms: int | None = None) -> None:
        """The page while it changes by itself."""
        for _ in range(count):
            page.wait_for_timeout(every_ms)
            self._take(page, shown_ms or every_ms)

    def save(self, path: Path) -> None:
        """One palette for all pictures, without dithering: text stays sharp, and what stands still costs nothing."""
        first, *rest = self._with_one_palette()
        first.save(path, save_all=True, append_images=rest, duration=self.shown_ms, loop=0, optimize=True)

    def _take(self, page: Page, shown_ms: int) -> None:
        picture = captioned(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), self.caption)
        if self.pictures and picture.tobytes() == self.pictures[-1].tobytes():
            self.shown_ms[-1] += shown_ms
            return
        self.pictures.append(picture)
        self.shown_ms.append(shown_ms)

    def _with_one_palette(self) -> list[Image.Image]:
        chosen = [self.pictures[0], self.pictures[len(self.pictures) // 2], self.pictures[-1]]
        width, height = chosen[0].size
        together = Image.new("RGB", (width, height * len(chosen)))
        for number, picture in enumerate(chosen):
            together.paste(picture, (0, number * height))
        palette = together.quantize(COLOURS)
        return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures]


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """The picture above a bar with a line of text."""
    width, height = picture.size
    whole = Image.new("RGB", (width, height + CAPTION_HEIGHT_PX), "#263238")
    whole.paste(picture, (0, 0))
    font = ImageFont.truetype(CAPTION_FONT, 17)
    ImageDraw.Draw(whole).text((16, height + CAPTION_HEIGHT_PX / 2), text, fill="white", font=font, anchor="lm")
    return whole
