"""Settings of the service, for commands that run the model themselves."""

from pathlib import Path

from pydantic import ValidationError

import service
from service.settings import Settings, explain
from steel_client.errors import ConfigurationError

_ROOT = Path(service.__file__).parents[1]


def local_settings(model: Path | None) -> Settings:
    """Read the settings; the default model is found from every folder.

    Args:
        model: file or folder; None takes it from the settings.

    Raises:
        ConfigurationError: naming the settings that are wrong.
    """
    try:
        settings = Settings() if model is None else Settings(model=model)
        if "model" in settings.model_fields_set or settings.model.exists():
            return settings
        return Settings(model=_default_model(settings.model))
    except ValidationError as error:
        raise ConfigurationError(explain(error).removeprefix("error: ").replace("\nerror: ", "; ")) from error


def _default_model(relative: Path) -> Path:
    """Return the default model beside this code; packages do not carry it."""
    model = _ROOT / relative
    if not model.exists():
        raise ConfigurationError(
            f"the default model is neither at {relative} nor at {model}: name one with --model or STEEL_MODEL"
        )
    return model
