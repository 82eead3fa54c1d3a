# SPDX-License-Identifier: Apache-2.0
"""Where the project is: a module of its own, since every folder may have a conftest."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
