"""The supervision tree: `Tree.step(event, now_s) -> actions`, without a clock or a process.

Theory of operation. The tree is level-triggered. An event changes the state of one child and
marks its supervisor as *unsettled*; `settle` then brings every unsettled supervisor towards what
it should be, with two rules and no memory of how it got there:

1. What is in the supervisor's *cut* must be down before anything is started (`stopping`).
2. What is idle is started when its turn has come (`starting`).

A group restart puts siblings into the cut; a stop or a surrender of the supervisor puts all its
children there and leaves the supervisor `stopping` until they are gone, when it ends with its
`parting` reason, which is an end like any other for the supervisor above it (`ending`).

A changed configuration (`adopting`) gives each child what it is to be, and a mark (`Change`) where
that takes a stop or a restart; a third rule, between the two, asks to stop whose turn has come
(`rolling`). So a change may come at any moment, and of several the newest counts.

| module | does |
|---|---|
| `child`, `needs`, `standing` | the state: children, who needs whom, for reading |
| `forest` | the only place that changes it |
| `starting` | whose turn it is; supervisors begin a life |
| `stopping` | asks, kills, gives up on; in which order |
| `ending` | judges an end: kept, removed, or restarted |
| `restarting` | counts, delays, with whom; quarantines and surrenders |
| `finishing` | ends for good: of significant and essential children, of the node |
| `adopting`, `retaking`, `templates` | a changed configuration: what each child is to be |
| `rolling` | who leaves, who is restarted for it, one at a time |
| `settling` | whether it does well |
| `watching` | heartbeats, SIGSTOP, memory |
| `operators` | stop, start, restart, spawn |
| `rows` | what it looks like |
| `step` | which event goes where |
"""

from supervisor.core.tree.step import Tree

__all__ = ["Tree"]
