"""Definitions in YAML: read and checked (`load`), compared with the store (`plan`), saved (`apply`), written back
(`export`).

`schema` describes the files for editors. What the records mean stands in `pipekit_engine.models`.
"""
