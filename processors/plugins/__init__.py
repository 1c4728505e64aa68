"""Plugins: steps and sinks that are not Weft's, found in a project's folder `plugins/` or offered by installed packages."""
