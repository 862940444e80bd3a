"""From the text of configuration files to typed entries, or to all that is wrong with them.

    bytes ──parse──► nodes with places ──decode──► drafts of entries ──judge──► entries
                          problems            problems and references      problems

Pure: files are read, and the machine is asked (users, folders, sources), in `supervisor.io.files`.
"""

from supervisor.core.config.problems import ConfigErrors, Problem, render, to_json

__all__ = ["ConfigErrors", "Problem", "render", "to_json"]
