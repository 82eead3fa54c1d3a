/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of libraries that the command line tools use, compiled once per build. No file may
 * depend on this header (see std_pch.h).
 */
#ifndef WD_TOOLS_PCH_H
#define WD_TOOLS_PCH_H

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#endif
