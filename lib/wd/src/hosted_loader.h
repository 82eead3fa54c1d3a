/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the library makes a hosted host. createHosted() is defined twice: in hosted/linked.cpp for
 * programs that contain the hosted kernel, and in hosted_plugin.cpp for libwd.so, which loads the
 * kernel from another file when a program asks for it.
 */
#pragma once

#include <memory>

#include "wd/any_host.h"

namespace wd
{

/** One thread at a time calls it. @throws Error as Host::create() */
std::shared_ptr<Host> createHosted(const HostOptions &options);

/** The plug-in exports one, as kHostedEntry. The library refuses one of another version. */
struct HostedEntry {
	const char *version;
	std::shared_ptr<Host> (*create)(const HostOptions &options);
};

constexpr const char *kHostedEntry = "wd_hosted_entry";

} // namespace wd
