"""Puts the gallery's application together."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import Response

from cloudseg_ops.gallery.rendering import style_sheet
from cloudseg_ops.gallery.web.answers import PrivateAnswers, show_errors
from cloudseg_ops.gallery.web.pages import router


def make_app() -> FastAPI:
    """Make the application; it reads neither settings nor buckets before a page asks for them."""
    app = FastAPI(title="cloudseg", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(PrivateAnswers)
    show_errors(app)
    app.include_router(router)
    style = style_sheet()

    @app.get("/style.css")
    async def show_style() -> Response:
        """Give the style of all pages, which says nothing of anybody."""
        return Response(style, media_type="text/css", headers={"Cache-Control": "private, max-age=300"})

    return app
