"""`schema`: the JSON Schema of configuration files, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of a configuration file.

    It is made of the same tables that read the files, so it never lags behind. Editors with the
    YAML language server take it by a first line
    `# yaml-language-server: $schema=wippy.schema.json`.

    Examples:

      wippy-supervisor schema > wippy.schema.json

    Exit codes: 0 printed.
    """
    import json

    from supervisor.core.config.schema import schema as made

    print(json.dumps(made(), indent=2, ensure_ascii=False))
