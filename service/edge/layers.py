"""What every request passes on its way in, and every answer on its way out, from the outside to the inside.

Conventions: each is a middleware of its own and knows nothing of the others; their order is decided here.
"""

from fastapi import FastAPI
from starlette.middleware import Middleware

from service.edge.body_timeouts import Patience
from service.edge.cors import Cors
from service.edge.faults import Faults
from service.edge.guard import Guard
from service.edge.head_requests import Heads
from service.edge.recorder import RequestRecorder
from service.edge.security_headers import SecurityHeaders
from service.metrics import Metrics
from service.settings import ServiceSettings


def layers(settings: ServiceSettings, metrics: Metrics) -> list[Middleware]:
    """The middleware of an application, outermost first."""
    cors = [Middleware(Cors, origins=settings.cors_origins)] if settings.cors_origins else []
    return [
        Middleware(RequestRecorder, metrics=metrics),
        Middleware(SecurityHeaders),
        Middleware(Guard, settings=settings),
        *cors,
        Middleware(Faults),
        Middleware(Patience, idle_s=settings.upload_idle_s, in_all_s=settings.upload_timeout_s),
        Middleware(Heads),
    ]


def surround(app: FastAPI, settings: ServiceSettings, metrics: Metrics) -> None:
    """Puts the layers around an application."""
    for layer in reversed(layers(settings, metrics)):  # the framework puts each around those before
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
