"""Entries that wait for each other: found in the tree that they mean."""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.core import graph, order
from supervisor.core.config.nodes import path_text
from supervisor.core.config.problems import Problem
from supervisor.core.config.reading import Reference, Role
from supervisor.core.spec import Blueprint, Place


def judge(blueprint: Blueprint, links: Iterable[Reference]) -> list[Problem]:
    """Return the first circle of waiting in a configuration that is right otherwise."""
    circle = order.find_circle(graph.build(blueprint))
    if not circle:
        return []
    written = {
        (link.owner, link.target): link for link in links if link.role in {Role.REQUIRES, Role.HOST}
    }
    places = {key: str(link.place) for key, link in written.items()}
    message = order.explain(circle, places)
    for edge in order.told(circle):
        link = written.get((edge.after[0], edge.before[0]))
        if edge.why is order.Why.REQUIRES and link is not None:
            path = path_text(link.cursor.path)
            return [Problem(place=link.place, path=path, message=message, line=link.line)]
    return [Problem(place=Place(blueprint.source, 0), message=message)]
