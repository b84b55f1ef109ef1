"""The console: read-only lists, the dashboard and the explain page, in the admin of Django."""
