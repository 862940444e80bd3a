"""The root, the keeper, the command line and the console of wippy-supervisor."""
