"""The colours of classes, in pictures and on the page."""

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    # Okabe and Ito's palette without black: distinguishable with any kind of colour vision.
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    # Each the farthest in CIELAB from all before it, protan and deutan vision included (Machado et al.,
    # 2009), among those that are neither grey, nearly black nor nearly white.
    (0, 0, 255),
    (255, 0, 238),
    (0, 255, 119),
    (255, 221, 170),
    (85, 68, 17),
    (238, 0, 85),
    (68, 51, 187),
    (85, 153, 0),
    (0, 255, 255),
    (136, 0, 119),
    (187, 136, 255),
    (136, 255, 187),
    (136, 255, 0),
    (255, 0, 170),
    (204, 119, 102),
    (136, 34, 68),
    (136, 17, 0),
    (153, 153, 85),
    (238, 204, 255),
    (170, 34, 255),
    (0, 85, 51),
    (204, 238, 136),
    (0, 119, 238),
    (255, 170, 102),
    (0, 136, 153),
)
"""Red, green and blue by a class's position in the model's list, as many as a model may have classes."""
