"""What runs inside each OS process of a node: boot, control, actors."""
