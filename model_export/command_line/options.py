"""The options of a configuration, as the command line names them."""

import dataclasses
import typing

import tyro


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a sub-command."""

    name: str
    """Without dashes in front: ``batch-size``."""
    is_flag: bool
    """Set by ``--name`` and ``--no-name``, without a value."""


def list_options(config: type) -> dict[str, Option]:
    """Return the options of a configuration by name, those of configurations within it included.

    Args:
        config: a dataclass; arguments without a name and hidden fields are left out.
    """
    found: dict[str, Option] = {}
    hints = typing.get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found |= list_options(hint)
        elif not {tyro.conf.Suppress, tyro.conf.Positional} & set(_markers(hint)):
            name = field.name.replace("_", "-")
            found[name] = Option(name, is_flag=hint is bool)
    return found


def _markers(hint: object) -> tuple[object, ...]:
    return tuple(getattr(hint, "__metadata__", ()))
