// SPDX-License-Identifier: Apache-2.0
/*
 * A user with a user-managed first-stage table, nested on an address space of /dev/iommu, at the
 * PASID of a queue. It answers page faults, or does not.
 */
#include "helpers.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>

#include <linux/iommufd.h>

namespace wd::soak
{

namespace
{

/* The arena at IOVA kGuest: four levels of table, text, outputs. The device sees it at kInput. */
constexpr uint64_t kGuest = 0x10000000, kInput = 0x40000000;
constexpr size_t kLevels = 4, kText = 8 * kPage, kOutputs = kText + kSource;
constexpr uint64_t kPresent = 1, kWrite = 2, kUser = 4;
constexpr unsigned kAtOnce = 4;

class Guest
{
public:
	explicit Guest(User &user) : user_(user) {}
	bool start();
	bool round();

private:
	uint64_t *entry(size_t level, uint64_t address) const
	{
		auto *table = reinterpret_cast<uint64_t *>(user_.arena + level * kPage);

		return &table[address >> (12 + 9 * (kLevels - 1 - level)) & 511];
	}
	void fill();
	bool nest();
	void answerFaults();

	User &user_;
	std::optional<device> device_;
	space space_ = {};
	queue queue_ = {};
	uint32_t parent_ = 0, nested_ = 0, faults_ = 0;
	int faultFd_ = -1;
};

void Guest::fill()
{
	for (size_t level = 0; level + 1 < kLevels; level++)
		*entry(level, kInput) = (kGuest + (level + 1) * kPage) | kPresent | kWrite | kUser;
	for (uint64_t at = kText; at < kArena; at += kPage)
		*entry(kLevels - 1, kInput + at) = (kGuest + at) | kPresent | kWrite | kUser;
	text_fill(user_.arena + kText, kSource, static_cast<unsigned>(user_.random()));
}

bool Guest::nest()
{
	return !table_new(&space_, queue_.device_id, space_.ioas, TABLE_PARENT, 0, &parent_) &&
	       !table_fault_queue(&space_, &faults_, &faultFd_) &&
	       !table_nested(&space_, queue_.device_id, parent_, kGuest, faults_, &nested_);
}

bool Guest::start()
{
	fill();
	device_ = anyDevice(user_);
	if (!device_ || space_open(&*device_, &space_) ||
	    space_map(&space_, user_.arena, kArena, kGuest) || queue_open(&*device_, &queue_) ||
	    queue_bind(&queue_, space_.fd))
		return false;
	return nest() && !queue_attach(&queue_, nested_, 0) && !queue_map(&queue_) &&
	       !queue_start(&queue_, COMPRESS);
}

/* Map the pages and answer. Some answers come without the pages, some never. */
void Guest::answerFaults()
{
	struct iommu_hwpt_pgfault faults[16];
	const ssize_t length = wd_host_read(user_.host, faultFd_, faults, sizeof(faults));

	for (ssize_t i = 0; i * static_cast<ssize_t>(sizeof(faults[0])) < length; i++) {
		const uint64_t page = faults[i].addr & ~(kPage - 1);
		struct iommu_hwpt_page_response answer = {};

		answer.cookie = faults[i].cookie;
		answer.code = IOMMUFD_PAGE_RESP_INVALID;
		if (page - kInput - kText < kArena - kText && user_.chance(80)) {
			*entry(kLevels - 1, page) =
				(page - kInput + kGuest) | kPresent | kWrite | kUser;
			answer.code = IOMMUFD_PAGE_RESP_SUCCESS;
		}
		if (faults[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE && user_.chance(90))
			wd_host_write(user_.host, faultFd_, &answer, sizeof(answer));
	}
}

bool Guest::round()
{
	const struct request request = {1, kInput + kText, kInput + kOutputs, kSource, kDest, 0};
	struct result result = {};

	if (user_.chance(40)) {
		/* Unmap a page, and flush the device TLB. */
		*entry(kLevels - 1, kInput + kText + user_.below(kSource / kPage) * kPage) = 0;
		if (table_invalidate(&space_, nested_))
			return false;
	}
	for (unsigned i = 0; i < kAtOnce; i++)
		queue_send(&queue_, &request);
	/* If the user never answers, the kernel does, after some time. */
	for (unsigned i = 0; i < kAtOnce && !user_.stop;) {
		struct pollfd file = {faultFd_, POLLIN, 0};

		if (queue_receive(&queue_, &result)) {
			i++;
			user_.work += !result.status;
			if (!result.status && result.produced > kDest) {
				user_.fail("a nested request succeeded with too much output");
				return false;
			}
			continue;
		}
		if (wd_host_poll(user_.host, &file, 1, 1) > 0)
			answerFaults();
		struct pollfd own = {queue_.fd, POLLIN, 0};
		if (wd_host_poll(user_.host, &own, 1, 0) < 0 ||
		    own.revents & (POLLERR | POLLHUP | POLLNVAL))
			return !queue_stop(&queue_) && !queue_start(&queue_, COMPRESS);
		if (user_.chance(1))
			return user_.chance(50); /* the other half ends while faults are open */
	}
	return true;
}

} // namespace

void liveNested(User &user)
{
	Guest guest(user);

	if (!guest.start())
		return;
	for (auto rounds = user.below(60); rounds && !user.stop; rounds--)
		if (!guest.round())
			return;
}

} // namespace wd::soak
