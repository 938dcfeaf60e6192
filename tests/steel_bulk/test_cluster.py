"""The address of a Ray cluster."""

import pytest

from steel_bulk import cluster
from steel_client.errors import SteelError


def test_a_cluster_that_is_not_there_is_said_soon() -> None:
    with pytest.raises(SteelError, match=r"there is no Ray at 127\.0\.0\.1:9: .*refused"):
        cluster._check_listens("127.0.0.1:9")
    cluster._check_listens("auto")
