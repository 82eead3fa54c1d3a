# SPDX-License-Identifier: Apache-2.0
"""Runs the project in a real Linux kernel under QEMU (see Documentation/contributing/testing.rst)."""
