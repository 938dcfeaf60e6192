"""File name suffixes of the image formats that the service decodes."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""In lower case; ``service.images.decode.FORMATS`` lists the formats."""
