/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of sysfs: directories, files whose callbacks give their content, and symbolic links. It
 * may have a mirror of real files in a real directory. Thread-safe. Callbacks of files run without
 * any lock of the tree; removing a file waits for its callbacks that run.
 */
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sys/types.h>

namespace wd::hostkernel
{

class SysfsNode : public std::enable_shared_from_this<SysfsNode>
{
public:
	enum class Kind { Directory, File, Link };
	/** Fills @page (4096 bytes). Returns the number of bytes, or -errno. */
	using Show = std::function<ssize_t(char *page)>;
	using Store = std::function<ssize_t(const char *text, size_t length)>;

	SysfsNode(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}
	const std::string &name() const { return name_; }

private:
	friend class SysfsTree;
	Kind kind_;
	std::string name_;
	SysfsNode *parent_ = nullptr; /* nullptr for the root and for removed nodes */
	std::map<std::string, std::shared_ptr<SysfsNode>> children_;
	std::weak_ptr<SysfsNode> target_;
	Show show_;
	Store store_;
	unsigned running_ = 0;
	bool removed_ = false;
};

using SysfsNodePtr = std::shared_ptr<SysfsNode>;

class SysfsTree
{
public:
	static SysfsTree &instance();

	/** Start with an empty tree. If @directory is not empty, the mirror goes there. */
	void start(const std::string &directory);
	void stop();
	/** Wait until the files of the mirror have their content. */
	void settle();

	SysfsNode *root();
	/* @return nullptr if the name exists in @parent or @parent is removed. */
	SysfsNode *addDirectory(SysfsNode *parent, const std::string &name);
	SysfsNode *addFile(SysfsNode *parent, const std::string &name, SysfsNode::Show show,
			   SysfsNode::Store store = {});
	SysfsNode *addLink(SysfsNode *parent, const std::string &name, SysfsNode *target);
	/** The existing directory of that name, or a new one. */
	SysfsNode *ensureDirectory(SysfsNode *parent, const std::string &name);
	SysfsNode *find(SysfsNode *parent, const std::string &name);
	/**
	 * Remove @node and everything below it, and wait until no callback of these runs, even if
	 * another thread removes them already. The second form does nothing if there is no @name.
	 */
	void remove(SysfsNode *node);
	void remove(SysfsNode *parent, const std::string &name);
	void removeIfEmpty(SysfsNode *directory);
	bool rename(SysfsNode *node, const std::string &name);
	std::string path(SysfsNode *node);

	/* Access by path. All return 0 or -errno. */
	int read(const std::string &path, std::string &out);
	int write(const std::string &path, const std::string &value);
	int list(const std::string &path, std::vector<std::string> &out);
	int resolve(const std::string &path, std::string &out);

private:
	SysfsNode *add(SysfsNode *parent, SysfsNodePtr node);
	SysfsNodePtr lookup(const std::string &path, int depth = 0);
	std::string pathLocked(const SysfsNode *node) const;
	std::string mirrorPath(const SysfsNode *node) const;
	void mirrorAdd(const SysfsNodePtr &node);
	void detach(SysfsNode *node);
	static bool busy(const SysfsNode *node);
	void removeLocked(std::unique_lock<std::mutex> &lock, const SysfsNodePtr &node);
	int readNode(const SysfsNodePtr &node, std::string &out);
	void mirrorRun();
	void mirrorWrite(const SysfsNodePtr &node, const std::string &text, bool first);

	struct State;
	SysfsTree();
	std::unique_ptr<State> state_;
};

} // namespace wd::hostkernel
