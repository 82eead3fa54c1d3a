/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GoogleTest and the standard headers of the unit tests, compiled once per build. No file may
 * depend on this header (see std_pch.h).
 */
#ifndef WD_GTEST_PCH_H
#define WD_GTEST_PCH_H

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#endif
