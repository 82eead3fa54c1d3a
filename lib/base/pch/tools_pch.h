/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries of the command line tools, compiled once per build. No file may depend on it
 * (std_pch.h).
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
