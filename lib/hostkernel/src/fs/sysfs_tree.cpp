// SPDX-License-Identifier: GPL-2.0-only
#include "sysfs_tree.h"
#include "base/bits.h"
#include "sched/freezer.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "base/standard_fds.h"
#include "hostkernel/kernel.h"

namespace wd::hostkernel
{
namespace
{

constexpr size_t kPage = kPageSize;
constexpr int kMaxLinks = 40;

} // namespace

struct SysfsTree::State {
	std::mutex mutex;
	std::condition_variable idle; /* signalled when a callback has ended */
	SysfsNodePtr root;
	std::string mirror; /* "": none */
	/*
	 * The mirror's thread reads each new file for the first time, since the code that creates a
	 * file may hold locks that the file's callback takes.
	 */
	std::thread mirrorThread;
	std::condition_variable mirrorWork, mirrorDone;
	std::deque<std::weak_ptr<SysfsNode>> fresh;
	bool mirrorBusy = false, mirrorStop = false;
};

SysfsTree::SysfsTree() : state_(std::make_unique<State>()) {}

SysfsTree &SysfsTree::instance()
{
	static auto *tree = new SysfsTree;
	return *tree;
}

void SysfsTree::start(const std::string &directory)
{
	State &s = *state_;
	std::lock_guard lock(s.mutex);
	s.root = std::make_shared<SysfsNode>(SysfsNode::Kind::Directory, "");
	s.mirror = directory;
	if (!directory.empty())
		s.mirrorThread = std::thread([this] { mirrorRun(); });
}

void SysfsTree::stop()
{
	State &s = *state_;
	std::vector<SysfsNodePtr> children;
	{
		std::lock_guard lock(s.mutex);
		if (!s.root)
			return;
		for (auto &[name, child] : s.root->children_)
			children.push_back(child);
	}
	for (auto &child : children)
		remove(child.get());
	{
		std::lock_guard lock(s.mutex);
		s.mirrorStop = true;
		s.mirrorWork.notify_all();
	}
	if (s.mirrorThread.joinable())
		s.mirrorThread.join();
	std::lock_guard lock(s.mutex);
	s.mirrorStop = false;
	s.fresh.clear();
	s.mirror.clear();
	s.root.reset();
}

SysfsNode *SysfsTree::root()
{
	return state_->root.get();
}

/* --- building --- */

SysfsNode *SysfsTree::add(SysfsNode *parent, SysfsNodePtr node)
{
	State &s = *state_;
	std::lock_guard lock(s.mutex);
	if (!parent || parent->removed_)
		return nullptr;
	auto [at, inserted] = parent->children_.emplace(node->name_, node);
	if (!inserted)
		return nullptr;
	node->parent_ = parent;
	mirrorAdd(node);
	return node.get();
}

SysfsNode *SysfsTree::addDirectory(SysfsNode *parent, const std::string &name)
{
	return add(parent, std::make_shared<SysfsNode>(SysfsNode::Kind::Directory, name));
}

SysfsNode *SysfsTree::addFile(SysfsNode *parent, const std::string &name, SysfsNode::Show show,
			      SysfsNode::Store store)
{
	auto node = std::make_shared<SysfsNode>(SysfsNode::Kind::File, name);
	node->show_ = std::move(show);
	node->store_ = std::move(store);
	return add(parent, node);
}

SysfsNode *SysfsTree::addLink(SysfsNode *parent, const std::string &name, SysfsNode *target)
{
	if (!target)
		return nullptr;
	auto node = std::make_shared<SysfsNode>(SysfsNode::Kind::Link, name);
	node->target_ = target->weak_from_this();
	return add(parent, node);
}

SysfsNode *SysfsTree::find(SysfsNode *parent, const std::string &name)
{
	std::lock_guard lock(state_->mutex);
	if (!parent)
		return nullptr;
	auto at = parent->children_.find(name);
	return at == parent->children_.end() || at->second->removed_ ? nullptr : at->second.get();
}

SysfsNode *SysfsTree::ensureDirectory(SysfsNode *parent, const std::string &name)
{
	SysfsNode *made = addDirectory(parent, name);
	return made ? made : find(parent, name);
}

/*
 * From here on no thread finds @node or what is below it. The nodes stay in their directories: a
 * second thread that removes one of them must find the callbacks that it has to wait for.
 */
void SysfsTree::detach(SysfsNode *node)
{
	for (auto &[name, child] : node->children_)
		if (!child->removed_)
			detach(child.get());
	if (!state_->mirror.empty()) {
		std::string real = mirrorPath(node);
		if (node->kind_ == SysfsNode::Kind::Directory)
			rmdir(real.c_str());
		else
			unlink(real.c_str());
	}
	node->removed_ = true;
	node->parent_ = nullptr;
}

/* Whether a callback of @node or of what is below it runs. */
bool SysfsTree::busy(const SysfsNode *node)
{
	return node->running_ || std::any_of(node->children_.begin(), node->children_.end(),
					     [](auto &entry) { return busy(entry.second.get()); });
}

void SysfsTree::removeLocked(std::unique_lock<std::mutex> &lock, const SysfsNodePtr &node)
{
	/* Only the first thread that removes the node finds its directory. */
	SysfsNodePtr parent = node->parent_ ? node->parent_->shared_from_this() : nullptr;
	if (!node->removed_)
		detach(node.get());
	state_->idle.wait(lock, [&] { return !busy(node.get()); });
	if (parent)
		parent->children_.erase(node->name_);
}

void SysfsTree::remove(SysfsNode *node)
{
	if (!node)
		return;
	std::unique_lock lock(state_->mutex);
	removeLocked(lock, node->shared_from_this());
}

void SysfsTree::remove(SysfsNode *parent, const std::string &name)
{
	if (!parent)
		return;
	std::unique_lock lock(state_->mutex);
	auto at = parent->children_.find(name);
	if (at != parent->children_.end())
		removeLocked(lock, SysfsNodePtr(at->second));
}

void SysfsTree::removeIfEmpty(SysfsNode *directory)
{
	std::lock_guard lock(state_->mutex);
	if (!directory || directory->removed_ ||
	    !std::all_of(directory->children_.begin(), directory->children_.end(),
			 [](auto &entry) { return entry.second->removed_; }))
		return;
	SysfsNode *parent = directory->parent_;
	const SysfsNodePtr kept = directory->shared_from_this();
	detach(directory);
	if (parent)
		parent->children_.erase(directory->name_);
}

bool SysfsTree::rename(SysfsNode *node, const std::string &name)
{
	State &s = *state_;
	std::lock_guard lock(s.mutex);
	SysfsNode *parent = node->parent_;
	if (!parent || parent->children_.count(name))
		return false;
	std::string before = s.mirror.empty() ? "" : mirrorPath(node);
	SysfsNodePtr self = node->shared_from_this();
	parent->children_.erase(node->name_);
	node->name_ = name;
	parent->children_.emplace(name, self);
	if (!s.mirror.empty())
		::rename(before.c_str(), mirrorPath(node).c_str());
	return true;
}

/* --- finding --- */

std::string SysfsTree::pathLocked(const SysfsNode *node) const
{
	std::string path;
	for (; node && node->parent_; node = node->parent_)
		path = "/" + node->name_ + path;
	return "/sys" + path;
}

std::string SysfsTree::path(SysfsNode *node)
{
	std::lock_guard lock(state_->mutex);
	return pathLocked(node);
}

SysfsNodePtr SysfsTree::lookup(const std::string &path, int depth)
{
	if (path.compare(0, 4, "/sys") || (path.size() > 4 && path[4] != '/') || depth > kMaxLinks)
		return nullptr;
	SysfsNodePtr at = state_->root;
	std::istringstream parts(path.substr(4));
	for (std::string part; at && std::getline(parts, part, '/');) {
		if (part.empty() || part == ".")
			continue;
		if (part == "..") {
			at = at->parent_ ? at->parent_->shared_from_this() : at;
			continue;
		}
		auto child = at->children_.find(part);
		at = child == at->children_.end() ? nullptr : child->second;
		if (at && at->kind_ == SysfsNode::Kind::Link)
			at = at->target_.lock();
		if (at && at->removed_)
			at = nullptr;
	}
	return at;
}

int SysfsTree::resolve(const std::string &path, std::string &out)
{
	std::lock_guard lock(state_->mutex);
	SysfsNodePtr node = lookup(path);
	if (!node)
		return -ENOENT;
	out = pathLocked(node.get());
	return 0;
}

int SysfsTree::list(const std::string &path, std::vector<std::string> &out)
{
	std::lock_guard lock(state_->mutex);
	SysfsNodePtr node = lookup(path);
	if (!node)
		return -ENOENT;
	if (node->kind_ != SysfsNode::Kind::Directory)
		return -ENOTDIR;
	out.clear();
	for (auto &[name, child] : node->children_)
		if (!child->removed_)
			out.push_back(name);
	return 0;
}

int SysfsTree::readNode(const SysfsNodePtr &node, std::string &out)
{
	State &s = *state_;
	{
		std::lock_guard lock(s.mutex);
		if (node->removed_)
			return -ENODEV;
		if (node->kind_ == SysfsNode::Kind::Directory)
			return -EISDIR;
		if (!node->show_)
			return -EACCES;
		node->running_++;
	}
	auto *page = static_cast<char *>(aligned_alloc(kPage, kPage));
	page[0] = '\0';
	ssize_t n = node->show_(page);
	if (n >= 0)
		out.assign(page, std::min(static_cast<size_t>(n), kPage));
	free(page);
	std::lock_guard lock(s.mutex);
	node->running_--;
	s.idle.notify_all();
	return n < 0 ? static_cast<int>(n) : 0;
}

int SysfsTree::read(const std::string &path, std::string &out)
{
	SysfsNodePtr node;
	{
		std::lock_guard lock(state_->mutex);
		node = lookup(path);
	}
	if (!node)
		return -ENOENT;
	int ret = readNode(node, out);
	if (!ret)
		mirrorWrite(node, out, false);
	return ret;
}

int SysfsTree::write(const std::string &path, const std::string &value)
{
	State &s = *state_;
	SysfsNodePtr node;
	{
		std::lock_guard lock(s.mutex);
		node = lookup(path);
		if (!node)
			return -ENOENT;
		if (node->kind_ == SysfsNode::Kind::Directory)
			return -EISDIR;
		if (!node->store_)
			return -EACCES;
		if (value.size() >= kPage)
			return -EINVAL;
		node->running_++;
	}
	ssize_t n = node->store_(value.c_str(), value.size());
	{
		std::lock_guard lock(s.mutex);
		node->running_--;
		s.idle.notify_all();
	}
	std::string text;
	if (n >= 0 && !readNode(node, text))
		mirrorWrite(node, text, false);
	return n < 0 ? static_cast<int>(n) : 0;
}

/* --- the real directory --- */

std::string SysfsTree::mirrorPath(const SysfsNode *node) const
{
	return state_->mirror + pathLocked(node).substr(4);
}

void SysfsTree::mirrorAdd(const SysfsNodePtr &node)
{
	State &s = *state_;
	if (s.mirror.empty())
		return;
	std::string real = mirrorPath(node.get());
	switch (node->kind_) {
	case SysfsNode::Kind::Directory:
		mkdir(real.c_str(), 0755);
		break;
	case SysfsNode::Kind::Link: {
		SysfsNodePtr target = node->target_.lock();
		std::string to = target ? pathLocked(target.get()).substr(5) : "";
		for (auto *up = node->parent_; up && up->parent_; up = up->parent_)
			to = "../" + to;
		if (symlink(to.c_str(), real.c_str()))
			return;
		break;
	}
	case SysfsNode::Kind::File:
		if (!node->show_)
			break;
		s.fresh.push_back(node);
		s.mirrorWork.notify_one();
	}
}

/*
 * Write a draft and rename it, so that a reader of the mirror sees a whole value, never a part of
 * it. @first: write only if the file does not exist yet, else another thread has written a newer
 * value meanwhile.
 */
void SysfsTree::mirrorWrite(const SysfsNodePtr &node, const std::string &text, bool first)
{
	/* Under the lock, so that a file that is removed at the same time does not come back. */
	std::lock_guard lock(state_->mutex);
	if (state_->mirror.empty() || node->removed_)
		return;
	const std::string draft = state_->mirror + "/.draft", real = mirrorPath(node.get());
	int fd = awayFromStandard(
		open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	if (fd < 0)
		return;
	const bool whole =
		::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
	close(fd);
	if (whole && !first && !::rename(draft.c_str(), real.c_str()))
		return;
	if (whole && first)
		(void)!link(draft.c_str(), real.c_str());
	unlink(draft.c_str());
}

void SysfsTree::mirrorRun()
{
	State &s = *state_;
	std::unique_lock lock(s.mutex);
	for (;;) {
		s.mirrorBusy = false;
		s.mirrorDone.notify_all();
		s.mirrorWork.wait(lock, [&] { return s.mirrorStop || !s.fresh.empty(); });
		if (s.mirrorStop)
			return;
		s.mirrorBusy = true;
		SysfsNodePtr node = s.fresh.front().lock();
		s.fresh.pop_front();
		lock.unlock();
		std::string text;
		if (node && !readNode(node, text))
			mirrorWrite(node, text, true);
		node.reset();
		lock.lock();
	}
}

void SysfsTree::settle()
{
	State &s = *state_;
	std::unique_lock lock(s.mutex);
	if (s.mirrorThread.joinable())
		s.mirrorDone.wait(lock, [&] { return s.fresh.empty() && !s.mirrorBusy; });
}

int sysfsRead(const std::string &path, std::string &out)
{
	UserScope user;

	return SysfsTree::instance().read(path, out);
}

int sysfsWrite(const std::string &path, const std::string &value)
{
	UserScope user;

	return SysfsTree::instance().write(path, value);
}

int sysfsList(const std::string &path, std::vector<std::string> &out)
{
	return SysfsTree::instance().list(path, out);
}

int sysfsResolve(const std::string &path, std::string &out)
{
	return SysfsTree::instance().resolve(path, out);
}

} // namespace wd::hostkernel
