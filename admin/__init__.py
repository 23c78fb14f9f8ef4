"""The panel: Flask-Admin views over the mapped tables, writing through services only."""

from admin.panel import register_panel

__all__ = ["register_panel"]
