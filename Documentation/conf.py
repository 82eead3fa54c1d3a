# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration: plain reStructuredText, no extensions."""

project = "WarpDrive"
author = "the WarpDrive maintainers"
copyright = author  # pylint: disable=redefined-builtin
extensions = []
exclude_patterns = []
html_theme = "alabaster"
highlight_language = "none"
man_pages = [("man/wdctl.1", "wdctl", "find, attach and measure accelerators", author, 1)]
