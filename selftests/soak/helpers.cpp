// SPDX-License-Identifier: Apache-2.0
#include "helpers.h"

#include <algorithm>
#include <chrono>
#include <poll.h>
#include <sstream>
#include <thread>

#include <fmt/format.h>

namespace wd::soak
{

std::vector<std::string> names(wd_host *host, const std::string &folder)
{
	std::string text(16384, 0);
	std::vector<std::string> found;

	if (wd_host_sysfs_list(host, folder.c_str(), text.data(), text.size()) < 0)
		return found;
	std::istringstream lines(text.c_str());
	for (std::string name; std::getline(lines, name);)
		found.push_back(name);
	return found;
}

std::optional<device> anyDevice(User &user)
{
	const auto all = names(user.host, "/sys/class/uacce");
	device found;

	if (all.empty())
		return std::nullopt;
	device_at(user.host, all[user.below(all.size())].c_str(), &found);
	/* The device may have gone meanwhile: then its sizes are error numbers. */
	const bool there = found.mmio_size - 1 < (1 << 24) && found.dus_size - 1 < (1 << 24);
	return there ? std::optional(found) : std::nullopt;
}

bool untouched(const uint8_t *bytes, size_t length)
{
	return std::all_of(bytes, bytes + length, [](uint8_t byte) { return byte == kUntouched; });
}

/* True if the kernel has said that the queue is stopped. */
static bool told(const User &user, const queue &queue)
{
	struct pollfd file = {queue.fd, POLLIN, 0};

	return wd_host_poll(user.host, &file, 1, 0) < 0 ||
	       file.revents & (POLLERR | POLLHUP | POLLNVAL);
}

Outcome compress(User &user, queue &queue, uint64_t source, uint64_t dest, const uint8_t *text,
		 uint8_t *output, unsigned count)
{
	const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
	struct result result = {};

	for (unsigned i = 0; i < count; i++) {
		struct request request = {};

		request.algorithm = 1;
		request.source = source;
		request.dest = dest + i * kDest;
		request.length = kSource;
		request.space = kDest;
		request.tag = i;
		queue_send(&queue, &request);
	}
	for (unsigned done = 0; done < count;) {
		if (queue_receive(&queue, &result)) {
			done++;
			user.work += !result.status;
			if (!result.status && (result.tag >= count || result.produced > kDest ||
					       !inflates_to(output + result.tag * kDest,
							    result.produced, text, kSource))) {
				user.fail(fmt::format("request {} of {} succeeded, and its output "
						      "of {} bytes is wrong",
						      result.tag, count, result.produced));
				return Outcome::Gone;
			}
			continue;
		}
		if (user.stop)
			return Outcome::Gone;
		if (told(user, queue))
			return Outcome::Told;
		if (std::chrono::steady_clock::now() > end) {
			user.fail("a request never ends, and the queue says nothing");
			return Outcome::Gone;
		}
		std::this_thread::yield();
	}
	return Outcome::Done;
}

void live(User &user, Kind kind)
{
	switch (kind) {
	case Kind::AddressSpaces:
		return liveWithAddressSpaces(user);
	case Kind::AttachedQueue:
		return liveWithAttachedQueue(user);
	case Kind::SharedQueue:
		return liveWithSharedQueue(user);
	case Kind::PinnedQueue:
		return liveWithPinnedQueue(user);
	case Kind::Owner:
		return liveAsOwner(user);
	case Kind::Nested:
		return liveNested(user);
	case Kind::Kernel:
		return user.useKernel(user);
	}
}

} // namespace wd::soak
