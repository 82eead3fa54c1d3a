// SPDX-License-Identifier: Apache-2.0
#include "interrupts.h"

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace wd::vfio_user
{

namespace
{

/*
 * A write to anything but an eventfd could block or do harm (a client can send any file). The
 * description is shared with the client, who could clear O_NONBLOCK again: an eventfd then blocks
 * only when its counter is full, which takes 2^64 - 2 interrupts that nobody reads.
 */
bool isEventFd(int fd)
{
	static constexpr char kName[] = "anon_inode:[eventfd]";
	const std::string link = "/proc/self/fd/" + std::to_string(fd);
	std::array<char, sizeof(kName)> name{};
	const ssize_t length = readlink(link.c_str(), name.data(), name.size());
	const int flags = fcntl(fd, F_GETFL);

	return length == sizeof(kName) - 1 && !std::memcmp(name.data(), kName, sizeof(kName) - 1) &&
	       flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

} // namespace

Interrupts::Interrupts(machine::PciFunction &function) : function_(function)
{
	for (uint32_t index = 0; index < kIrqTypes; index++)
		vectors_[index].resize(count(index));
	function_.setInterruptSink(this);
}

Interrupts::~Interrupts()
{
	function_.setInterruptSink(nullptr);
}

unsigned Interrupts::count(uint32_t index) const
{
	switch (index) {
	case kIrqMsi:
		return function_.msiVectors();
	case kIrqMsix:
		return function_.msixVectors();
	case kIrqError:
		/* Taken, so that QEMU does not warn, and never signalled: it would stop the VM. */
		return 1;
	default:
		return 0;
	}
}

int Interrupts::set(const IrqSet &request, std::span<const std::byte> data,
		    std::vector<UniqueFd> &fds)
{
	const uint32_t kind = request.flags & kSetData, action = request.flags & kSetAction;

	if (request.flags & ~(kSetData | kSetAction) || std::popcount(kind) != 1 ||
	    std::popcount(action) != 1 || request.index >= kIrqTypes)
		return EINVAL;
	const uint32_t have = count(request.index);

	if (request.start > have || request.count > have - request.start)
		return EINVAL;
	if (data.size() != (kind == kSetBool ? request.count : 0))
		return EINVAL;
	if (kind != kSetEventFd && !fds.empty())
		return EINVAL;
	/* Vectors are masked by the client; there is no maskable line. */
	if (action != kSetTrigger)
		return EINVAL;
	if (kind == kSetEventFd)
		return setEventFds(request, fds);
	if (kind == kSetNone && !request.count) {
		if (request.start)
			return EINVAL;
		std::lock_guard lock(mutex_);

		for (UniqueFd &fd : vectors_[request.index])
			fd.reset();
		return 0;
	}
	for (uint32_t i = 0; i < request.count; i++)
		if (kind == kSetNone || data[i] != std::byte{})
			trigger(request.index, request.start + i);
	return 0;
}

int Interrupts::setEventFds(const IrqSet &request, std::vector<UniqueFd> &fds)
{
	if (!request.count || (!fds.empty() && fds.size() != request.count))
		return EINVAL;
	for (const UniqueFd &fd : fds)
		if (!isEventFd(fd.get()))
			return EINVAL;
	std::lock_guard lock(mutex_);

	/* Without descriptors: these vectors lose theirs (the first step of enabling MSI-X). */
	for (uint32_t i = 0; i < request.count; i++)
		vectors_[request.index][request.start + i] =
			fds.empty() ? UniqueFd() : std::move(fds[i]);
	return 0;
}

void Interrupts::trigger(uint32_t index, unsigned vector) noexcept
{
	static constexpr uint64_t kOne = 1;
	std::lock_guard lock(mutex_);

	if (vector < vectors_[index].size() && vectors_[index][vector]) {
		/* A full counter means that the client has an interrupt to see already. */
		[[maybe_unused]] ssize_t written =
			::write(vectors_[index][vector].get(), &kOne, sizeof(kOne));
	}
}

/* The function sends as MSI-X if that is enabled, else as MSI: only one of them has eventfds. */
void Interrupts::signal(unsigned vector) noexcept
{
	trigger(kIrqMsix, vector);
	trigger(kIrqMsi, vector);
}

} // namespace wd::vfio_user
