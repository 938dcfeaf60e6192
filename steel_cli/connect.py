"""The service that a command sends its strips to, and its check before anything is written."""

import contextlib
from collections.abc import AsyncIterator, Callable

from steel_bulk.out_folder import check_out
from steel_cli.extras import requires
from steel_cli.options import Common
from steel_client.client import AsyncSteelClient, Options
from steel_client.errors import ConfigurationError, SteelError
from steel_client.model_info import ModelInfo
from steel_client.retry import check_timeout


@contextlib.asynccontextmanager
async def open_client(
    config: Common,
    retries: int | None = None,
    on_retry: Callable[[SteelError], None] | None = None,
) -> AsyncIterator[AsyncSteelClient]:
    """Connect to the server, or run the application in this process.

    Args:
        config: of the command.
        retries: see ``steel_client.client.Options``.
        on_retry: see ``steel_client.client.Options``.
    """
    query = {"profile": config.profile}
    query |= {} if config.bits is None else {"bits": config.bits}
    query |= {} if config.pad is None else {"pad": config.pad}
    options: Options = {
        "query": query,
        "timeout": config.timeout,
        "retries": retries,
        "on_retry": on_retry,
        "api_key": config.api_key,
        "ca": config.ca,
    }
    if config.server is not None:
        async with AsyncSteelClient(config.server, **options) as client:
            yield client
        return
    # Imported here only: with a server, neither onnxruntime nor a model is needed.
    with requires("client,cpu", "; or name a server with --server"):
        from service.observability.logs import configure_logs
        from steel_cli.in_process import run_application

    configure_logs("error")
    async with (
        run_application(config.model) as transport,
        AsyncSteelClient("http://in-process", transport=transport, **options) as client,
    ):
        yield client


def check_options(config: Common) -> None:
    """Check what needs no service.

    Raises:
        ConfigurationError: naming the option.
    """
    if config.concurrency < 1:
        raise ConfigurationError(f"--concurrency (--at-once): expected at least 1, got {config.concurrency}")
    check_timeout(config.timeout)
    if config.server is not None and config.model is not None:
        raise ConfigurationError("expected --server or --model, got both: a server has its own model")
    if config.server is None and config.ca is not None:
        raise ConfigurationError("--ca: expected --server beside it, whose certificate it trusts, got none")
    check_out(config.out)


def check_profile(config: Common, model: ModelInfo) -> None:
    """Check that a model has the profile.

    Raises:
        ConfigurationError: naming those that it has.
    """
    names = [profile.name for profile in model.profiles]
    if config.profile not in names:
        raise ConfigurationError(f"profile: expected one of {', '.join(names)}, got {config.profile!r}")
