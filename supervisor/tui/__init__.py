"""The live tree."""
