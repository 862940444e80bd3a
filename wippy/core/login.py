"""The variables that go with an account, as login(1) sets them. Pure."""

from __future__ import annotations

USER_PATH = "/usr/local/bin:/usr/bin:/bin"
SUPERUSER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def login_environment(name: str, *, uid: int, home: str) -> dict[str, str]:
    """Return HOME, USER, LOGNAME and PATH of the user `name`."""
    return {
        "HOME": home,
        "USER": name,
        "LOGNAME": name,
        "PATH": SUPERUSER_PATH if uid == 0 else USER_PATH,
    }
