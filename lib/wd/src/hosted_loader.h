/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from the library to its hosted host. hosted/linked.cpp defines it for programs that contain
 * the hosted kernel; hosted_plugin.cpp for libwd.so, which contains no kernel and loads it when a
 * program asks for it.
 */
#pragma once

#include <memory>

#include "wd/any_host.h"

namespace wd
{

/** One thread at a time calls it. @throws Error as Host::create() */
std::shared_ptr<Host> createHosted(const HostOptions &options);

/** What the plug-in exports, as kHostedEntry. It is used only if its version is the library's. */
struct HostedEntry {
	const char *version;
	std::shared_ptr<Host> (*create)(const HostOptions &options);
};

constexpr const char *kHostedEntry = "wd_hosted_entry";

} // namespace wd
