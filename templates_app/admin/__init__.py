"""Templates are written, looked at, published and rolled back here."""

from templates_app.admin import templates, versions

__all__ = ["templates", "versions"]
