"""The login form, with a brake: five wrong passwords for a name stop it for a while."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from unfold.forms import AuthenticationForm

ATTEMPTS_MAX = 5
LOCK_S = 15 * 60


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # unfold ships no types
    """Counts wrong passwords by name. The count lives in this process; see the settings."""

    def clean(self) -> dict[str, Any]:
        """Refuse before the password is looked at once there were too many wrong ones."""
        name = str(self.cleaned_data.get("username", "")).casefold()
        key = f"login:{name.encode().hex()[:200]}"
        if cache.get(key, 0) >= ATTEMPTS_MAX:
            raise ValidationError(_("Too many wrong passwords. Try again in a quarter of an hour."))
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            cache.add(key, 0, LOCK_S)
            cache.incr(key)
            raise
        cache.delete(key)
        return cleaned
