"""The command line and the composition root: reads the environment, wires the parts, and is imported by nobody."""
