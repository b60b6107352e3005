"""Handlers for the emulator's own calls, under ``/_emulator``: health, counters, faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from .errors import ApiError
from .faults import Fault
from .service import Service, resource_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def health(service: Service, _request: Request, _: dict[str, str]) -> Response:
    """Handle ``GET /_emulator/health``."""
    return JSONResponse({"status": "ok", "buckets": len(service.store.buckets())})


async def requests(service: Service, _request: Request, _: dict[str, str]) -> Response:
    """Handle ``GET /_emulator/requests``: the number of calls of each kind."""
    return JSONResponse(service.calls())


def _state(service: Service) -> Response:
    return JSONResponse({"latency": service.faults.latency, "faults": service.faults.pending()})


async def get_faults(service: Service, _request: Request, _: dict[str, str]) -> Response:
    """Handle ``GET /_emulator/faults``: the active latency and faults."""
    return _state(service)


async def add_faults(service: Service, request: Request, _: dict[str, str]) -> Response:
    """Handle ``POST /_emulator/faults`` with ``{"latency": seconds, "faults": [{…}]}``, both optional."""
    body = await resource_of(request)
    latency = body.get("latency", service.faults.latency)
    described = body.get("faults", [])
    unknown = body.keys() - {"latency", "faults"}
    if unknown or not isinstance(latency, int | float) or latency < 0 or not isinstance(described, list):
        raise ApiError(400, 'Expected {"latency": seconds, "faults": [{"action": …, "path": …}, …]}.')
    faults = [Fault.of(item) for item in described]
    service.faults.latency = float(latency)
    for fault in faults:
        service.faults.add(fault)
    return _state(service)


async def clear_faults(service: Service, _request: Request, _: dict[str, str]) -> Response:
    """Handle ``DELETE /_emulator/faults``: switch all faults off."""
    service.faults.clear()
    return _state(service)
