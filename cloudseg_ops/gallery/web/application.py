"""Creates the gallery's FastAPI application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import Response

from cloudseg_ops.gallery.rendering import style_sheet
from cloudseg_ops.gallery.web.pages import router
from cloudseg_ops.gallery.web.responses import SecurityHeadersMiddleware, show_errors


def make_app() -> FastAPI:
    """Create the application, which reads settings and buckets only when a page needs them."""
    app = FastAPI(title="cloudseg", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(SecurityHeadersMiddleware)
    show_errors(app)
    app.include_router(router)
    style = style_sheet()

    @app.get("/style.css")
    async def show_style() -> Response:
        """Return the style sheet of all pages, which is public."""
        return Response(style, media_type="text/css", headers={"Cache-Control": "private, max-age=300"})

    return app
