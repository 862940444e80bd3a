"""Passwords that stand in no entry: in the environment of the process, or in a file."""

from __future__ import annotations

import os

from wippy.errors import Invalid


def find_password(password: str, env: str, file: str) -> str:
    """Return the password that settings name; empty where they name none.

    Args:
        password: It itself.
        env: The variable that has it.
        file: The file that has it; a newline at the end is none of it.

    Raises:
        Invalid: The variable is not set, or the file cannot be read.
    """
    if password:
        return password
    if env:
        if env not in os.environ:
            raise Invalid(f"password_env: the variable {env} is not set in this process")
        return os.environ[env]
    if file:
        try:
            with open(file, encoding="utf-8") as opened:
                return opened.read().removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"password_file: {file} cannot be read: {error}") from None
    return ""
