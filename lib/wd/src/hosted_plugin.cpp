// SPDX-License-Identifier: Apache-2.0
/*
 * How libwd.so loads the hosted kernel. That kernel is GPL-2.0-only, so it is a file of its own
 * (Documentation/guide/licences.rst) in the folder "warpdrive" beside the library.
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
 * A path beside the file that contains this code, wherever that was installed or moved to. The
 * dynamic loader knows its folder as an absolute path. It may know the file only by a relative
 * name, which is wrong after the program has changed its working directory.
 */
std::string pluginPath()
{
	const char *const name = "warpdrive/libwd-hosted.so";
	Dl_info here;
	void *library;
	char folder[2 * PATH_MAX]; /* working directory + a relative path */
	if (!::dladdr1(reinterpret_cast<void *>(&createHosted), &here, &library, RTLD_DL_LINKMAP) ||
	    ::dlinfo(library, RTLD_DI_ORIGIN, folder))
		notUsable(name, "the folder of this library is not known");
	return std::string(folder) + "/" + name;
}

const HostedEntry *loadPlugin()
{
	const std::string path = pluginPath();
	/* Never unload it: the hosted kernel has installed handlers of signals and of fork(). */
	void *plugin = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!plugin)
		notUsable(path, ::dlerror());
	const auto *entry = static_cast<const HostedEntry *>(::dlsym(plugin, kHostedEntry));
	if (!entry)
		notUsable(path, "it is no plug-in of this library");
	/* The plug-in uses classes of the library, whose layout may differ in another version. */
	if (std::strcmp(entry->version, WD_VERSION) != 0)
		notUsable(path, "version " + std::string(entry->version) + ", the library's is " +
					WD_VERSION);
	return entry;
}

} // namespace

std::shared_ptr<Host> createHosted(const HostOptions &options)
{
	/*
	 * Not initialised by a call here: that takes a hidden lock, and after a fork() at that
	 * moment nobody would release it in the child.
	 */
	static const HostedEntry *entry;
	if (!entry)
		entry = loadPlugin();
	return entry->create(options);
}

} // namespace wd
