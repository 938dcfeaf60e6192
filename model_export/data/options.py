"""Options that several commands have."""

from typing import Annotated

import tyro

from service.geometry import BIT_DEPTHS, BitDepth, parse_bits

# For a choice or None, the parser's own help and messages list the choices in any order.
BitsOption = Annotated[
    BitDepth | None,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="|".join(BIT_DEPTHS),
        instance_from_str=lambda arguments: parse_bits(arguments[0]),
        is_instance=lambda value: value is None or value in BIT_DEPTHS,
        str_from_instance=lambda value: [str(value)],
    ),
]

TileOption = Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")]
"""Rows and columns of a tile."""
