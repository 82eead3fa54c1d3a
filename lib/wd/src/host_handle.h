/* SPDX-License-Identifier: Apache-2.0 */
/* The object of the C API's struct wd_host. */
#pragma once

#include <memory>

#include "wd/any_host.h"
#include "wd/host.h"

struct wd_host {
	std::shared_ptr<wd::Host> host;
};
