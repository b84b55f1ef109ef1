"""Django's settings for the type checker and the tests: every app; the address is never dialled."""

from duewise.web.settings import web_settings

globals().update(web_settings(dsn="host=/nowhere dbname=none", secret_key="only for tests"))
