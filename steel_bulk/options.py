"""Options of the commands of ``steel`` that are parameters of /predict."""

from typing import Annotated, Literal

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

PadOption = Annotated[
    Literal["true", "false"] | None,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="true|false",
        instance_from_str=lambda arguments: _parse_flag(arguments[0]),
        is_instance=lambda value: value in (None, "true", "false"),
        str_from_instance=lambda value: [str(value)],
    ),
]


def _parse_flag(text: str) -> Literal["true", "false"]:
    if text == "true":
        return "true"
    if text == "false":
        return "false"
    raise ValueError(f"expected true or false, got {text!r}")
