"""The process that reads the configuration again while everything runs: `wippy:files`."""
