// SPDX-License-Identifier: Apache-2.0
/*
 * libwd.so without a kernel in it: the hosted kernel is GPL-2.0-only and lies in a file of its own
 * (Documentation/guide/licences.rst), in the folder "warpdrive" beside this library.
 */
#include "hosted_loader.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <dlfcn.h>

#include "wd/error.h"

namespace wd
{

namespace
{

[[noreturn]] void notUsable(const std::string &path, const std::string &why)
{
	throw Error(EOPNOTSUPP, path, "load the hosted kernel (" + why + ")",
		    "install the hosted part of this library, or the modules of this project and "
		    "use WD_HOST=native");
}

/**
 * Beside the file that this code is in, wherever that was installed or moved to. The dynamic loader
 * remembers the folder as an absolute path; the name of the file may be relative to a folder that
 * the program has left.
 */
std::string pluginPath()
{
	const char *const name = "warpdrive/libwd-hosted.so";
	Dl_info here;
	void *library;
	char folder[2 * PATH_MAX]; /* a relative path, below a working directory */
	if (!::dladdr1(reinterpret_cast<void *>(&createHosted), &here, &library, RTLD_DL_LINKMAP) ||
	    ::dlinfo(library, RTLD_DI_ORIGIN, folder))
		notUsable(name, "the folder of this library is not known");
	return std::string(folder) + "/" + name;
}

const HostedEntry *loadPlugin()
{
	const std::string path = pluginPath();
	/* It stays: the hosted kernel has handlers of signals and of fork(). */
	void *plugin = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!plugin)
		notUsable(path, ::dlerror());
	const auto *entry = static_cast<const HostedEntry *>(::dlsym(plugin, kHostedEntry));
	if (!entry)
		notUsable(path, "it is no plug-in of this library");
	/* It was compiled against the library's classes. */
	if (std::strcmp(entry->version, WD_VERSION) != 0)
		notUsable(path, "version " + std::string(entry->version) + ", the library's is " +
					WD_VERSION);
	return entry;
}

} // namespace

std::shared_ptr<Host> createHosted(const HostOptions &options)
{
	/* No initialiser: fork() would copy its lock while another thread holds it. */
	static const HostedEntry *entry;
	if (!entry)
		entry = loadPlugin();
	return entry->create(options);
}

} // namespace wd
