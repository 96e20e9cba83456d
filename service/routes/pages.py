"""The pages for people: the one that explains recordings, and the API's documentation.

Nothing in them is loaded from elsewhere.
"""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from service.documents.documentation import problems, raw_answer

STATIC = files("service") / "static"

router = APIRouter(tags=["service"], default_response_class=HTMLResponse)


@router.get(
    "/",
    responses={200: raw_answer("The page", {"text/html": "<!doctype html>..."}), **problems()},
    summary="The page: drop a recording, see and hear why",
)
async def index() -> HTMLResponse:
    """Takes a recording, shows its instruments, maps and proof, and plays them; `/?job=ID` shows a job."""
    return _page("index.html")


@router.get(
    "/docs",
    responses={200: raw_answer("The page", {"text/html": "<!doctype html>..."}), **problems()},
    summary="The documentation of the API, to read and to try",
)
async def docs() -> HTMLResponse:
    """Swagger UI over `/openapi.json`."""
    return _page("docs.html")


def _page(name: str) -> HTMLResponse:
    return HTMLResponse((STATIC / name).read_text(encoding="utf-8"))
