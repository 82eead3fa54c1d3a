# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration: plain reStructuredText, no extensions."""

project = "WarpDrive"
author = "the WarpDrive maintainers"
copyright = author  # pylint: disable=redefined-builtin
extensions = []
exclude_patterns = []
html_theme = "alabaster"
highlight_language = "none"
man_pages = [
    ("man/wd_crypt.1", "wd_crypt", "encrypt and decrypt on an accelerator", author, 1),
    ("man/wd_zip.1", "wd_zip", "compress and decompress on an accelerator", author, 1),
    ("man/wdctl.1", "wdctl", "find, attach and measure accelerators", author, 1),
    ("man/wdmachine.1", "wdmachine", "accelerators and their IOMMU as PCI functions of QEMU", author, 1),
]
