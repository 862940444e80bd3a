"""What the benchmarks share: figures and goals, the first line of a process, a node of ours."""
