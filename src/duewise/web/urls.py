"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from duewise.web.api import api
from duewise.web.console.explain import explain_page
from duewise.web.health import healthz, metrics, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("console/explain/", admin.site.admin_view(explain_page), name="explain"),
    path("console/language/", set_language, name="set_language"),
    path("console/", admin.site.urls),
    path("api/v1/", api.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
handler400 = "duewise.web.errors.bad_request"
handler403 = "duewise.web.errors.permission_denied"
handler404 = "duewise.web.errors.page_not_found"
handler500 = "duewise.web.errors.server_error"
