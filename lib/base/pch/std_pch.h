/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard headers that most files of the libraries read, compiled once per build. No file may
 * depend on this header: a build with clang, or with -Db_pch=false, does not use it.
 */
#ifndef WD_STD_PCH_H
#define WD_STD_PCH_H

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
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#endif
