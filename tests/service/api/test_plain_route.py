"""Dependencies of a ``PlainRoute`` never run, so none of them may be a guard."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyHeader

from service.api.plain_route import PlainRoute


def plain_routes(app: FastAPI) -> Iterator[tuple[PlainRoute, Dependant]]:
    """Yield every plain route, and what depends on it, the dependencies of its routers included."""
    for included in app.routes:
        if isinstance(included, PlainRoute):
            yield included, included.dependant
        for context in getattr(included, "effective_candidates", list)():
            if isinstance(context.original_route, PlainRoute):
                yield context.original_route, context.dependant


def guards(dependant: Dependant) -> list[object]:
    """Return the dependencies, at any depth, that would do something if they ran."""
    return [
        call
        for dependency in dependant.dependencies
        for call in ([] if _describes(dependency.call) else [dependency.call], guards(dependency))
        if call
    ]


def _describes(call: object) -> bool:
    """Return whether a dependency is a function without code, or a key that Authentication checks."""
    if inspect.isfunction(call):
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(call))).body
        return isinstance(function, ast.FunctionDef) and all(
            isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in function.body
        )
    return isinstance(call, APIKeyHeader) and not call.auto_error


def test_no_dependency_of_a_plain_route_is_a_guard(app: FastAPI) -> None:
    routes = list(plain_routes(app))
    assert sorted(route.path for route, _ in routes) == ["/overlay", "/predict"]
    for route, dependant in routes:
        assert guards(dependant) == []
        assert list(inspect.signature(route.endpoint).parameters) == ["request"]


def check_something() -> None:
    raise AssertionError("never runs")


def check_below(_checked: None = Depends(check_something)) -> None:
    """Describe nothing."""


@pytest.mark.anyio
@pytest.mark.parametrize("guard", [check_something, check_below, APIKeyHeader(name="X-API-Key")])
@pytest.mark.parametrize("place", ["route", "router", "application"])
async def test_a_guard_is_found_and_never_runs(guard: object, place: str) -> None:
    depends = [Depends(guard)]  # type: ignore[arg-type]  # objects that can be called
    router = APIRouter(route_class=PlainRoute, dependencies=depends if place == "router" else [])

    @router.get("/", dependencies=depends if place == "route" else [])
    async def answer(request: Request) -> Response:
        return Response("unguarded")

    app = FastAPI()
    app.include_router(router, dependencies=depends if place == "application" else [])
    ((_, dependant),) = plain_routes(app)
    assert guards(dependant) != []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/")).text == "unguarded"
