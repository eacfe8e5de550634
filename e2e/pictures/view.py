"""The ways in which a page is looked at."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class View:
    """A screen. `scheme` is light, dark, or turned: a light page whose colours the program turns round by itself."""

    device: str
    width: int
    scheme: str

    def __str__(self):
        return f"{self.device}.{self.scheme}"
