"""Predicting through outages of the service, however long they last."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from steel_cli.answer import OF_ONE_STRIP, Answer, Strip
from steel_cli.waiting import WaitingNotice
from steel_client.client import AsyncSteelClient
from steel_client.errors import SteelError

T = TypeVar("T")

_PAUSE_SECONDS = 2.0
_MOST_ATTEMPTS = 5
"""At a strip that fails alone, while the service answers others."""


class PatientClient:
    """Client that waits for the service, and says that it does.

    An error of the arguments ends the first call. Once the service has answered, nothing does: while it is
    replaced, a proxy may answer anything.

    Args:
        client: of the service.
        say: takes messages for the operator.
        returns: whether a service that is away may come back; one in this process does not.
    """

    def __init__(
        self,
        client: AsyncSteelClient,
        say: Callable[[str], None],
        *,
        returns: bool = True,
    ) -> None:
        self._client = client
        self._notice = WaitingNotice(say)
        self._returns = returns
        self._answers = 0

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function of the client until it succeeds.

        Raises:
            SteelError: if it refuses a file, or an argument is wrong and nothing was answered yet.
        """
        alone = 0
        answers = self._answers
        while True:
            try:
                result = await function()
            except SteelError as error:
                if error.concerns_file:
                    self._note_answer()
                    raise
                if not error.transient and not self._answers:
                    raise
                if not self._returns and error.status not in OF_ONE_STRIP:
                    raise
                if error.status in OF_ONE_STRIP and self._answers > answers:
                    alone, answers = alone + 1, self._answers
                    if alone >= _MOST_ATTEMPTS:
                        raise
                self._notice.note_error(error)
                await asyncio.sleep(max(_PAUSE_SECONDS, error.retry_after or 0))
            else:
                self._note_answer()
                return result

    async def predict(self, strip: Strip) -> Answer:
        """Return the answer to a strip; an error only if the service refuses it, or fails at it alone."""
        try:
            name = strip.name.rpartition("/")[2]
            return Answer(strip, await self.call(lambda: self._client.predict(strip.data, name)), None)
        except SteelError as error:
            if not error.concerns_file and error.status not in OF_ONE_STRIP:
                raise
            return Answer(strip, None, error)

    def _note_answer(self) -> None:
        self._answers += 1
        self._notice.note_answer()
