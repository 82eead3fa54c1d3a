// SPDX-License-Identifier: Apache-2.0
#include "interrupts.h"

#include <bit>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace wd::vfio_user
{

namespace
{

/*
 * VFIOUSER-IRQ-6: a write to another kind of file (a pipe, say) could block the device's thread for
 * ever. The client shares the open file and can make it blocking again, but that stops only its own
 * machine.
 */
bool makeEventFd(int fd)
{
	static constexpr char kind[] = "anon_inode:[eventfd]";
	const std::string link = "/proc/self/fd/" + std::to_string(fd);
	char target[sizeof(kind)] = {};
	const int flags = fcntl(fd, F_GETFL);

	return readlink(link.c_str(), target, sizeof(target)) == sizeof(kind) - 1 &&
	       std::string(target, sizeof(kind) - 1) == kind && flags >= 0 &&
	       fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void raise(const UniqueFd &fd)
{
	const uint64_t one = 1;

	/*
	 * EAGAIN: the counter is full. The client has yet to see earlier interrupts; this one joins
	 * them.
	 */
	if (fd && write(fd.get(), &one, sizeof(one)) < 0)
		return;
}

} // namespace

Interrupts::Interrupts(const machine::PciFunction &function)
{
	vectors_[kIrqIntx].resize(function.interruptPin() ? 1 : 0);
	vectors_[kIrqMsi].resize(function.msiVectors());
	vectors_[kIrqMsix].resize(function.msixVectors());
	/*
	 * QEMU warns if it cannot set an eventfd for errors. The server never signals it
	 * (VFIOUSER-IRQ-5).
	 */
	vectors_[kIrqError].resize(1);
	vectors_[kIrqRequest].resize(1);
}

uint32_t Interrupts::count(uint32_t index) const
{
	return index < kIrqTypes ? static_cast<uint32_t>(vectors_[index].size()) : 0;
}

/* VFIOUSER-IRQ-1 to VFIOUSER-IRQ-3 */
int Interrupts::set(const IrqSet &request, std::span<const std::byte> data,
		    std::vector<UniqueFd> &fds)
{
	const uint32_t kind = request.flags & kSetData, action = request.flags & kSetAction;

	if ((request.flags & ~(kSetData | kSetAction)) || !std::has_single_bit(kind) ||
	    !std::has_single_bit(action) || request.index >= kIrqTypes)
		return EINVAL;
	/* VFIOUSER-IRQ-7. The client cannot mask others: QEMU has the MSI-X table. */
	if (action != kSetTrigger && (request.index != kIrqIntx || kind == kSetEventFd))
		return EINVAL;
	if (data.size() != (kind == kSetBool ? request.count : 0))
		return EINVAL;
	if (kind != kSetEventFd && !fds.empty())
		return EINVAL;
	const size_t present = vectors_[request.index].size();

	if (!request.count) {
		if (kind != kSetNone || request.start || action != kSetTrigger)
			return EINVAL;
		disable(request.index);
		return 0;
	}
	if (request.start >= present || request.count > present - request.start)
		return EINVAL;
	if (action != kSetTrigger)
		return maskPin(request, data);
	return kind == kSetEventFd ? setEventFds(request, fds) : trigger(request, data);
}

int Interrupts::setEventFds(const IrqSet &request, std::vector<UniqueFd> &fds)
{
	if (!fds.empty() && fds.size() != request.count)
		return EINVAL;
	for (const UniqueFd &fd : fds)
		if (!makeEventFd(fd.get()))
			return EINVAL;
	std::lock_guard lock(mutex_);

	/* Replaced, it stays masked; enabled, it is not. */
	if (request.index == kIrqIntx && !vectors_[kIrqIntx][0])
		pinMasked_ = false;
	for (uint32_t i = 0; i < request.count; i++)
		vectors_[request.index][request.start + i] =
			fds.empty() ? UniqueFd() : std::move(fds[i]);
	raisePin();
	return 0;
}

void Interrupts::disable(uint32_t index)
{
	std::lock_guard lock(mutex_);

	for (UniqueFd &fd : vectors_[index])
		fd.reset();
}

int Interrupts::maskPin(const IrqSet &request, std::span<const std::byte> data)
{
	std::lock_guard lock(mutex_);

	if (data.empty() || data[0] != std::byte{0}) {
		pinMasked_ = (request.flags & kSetAction) == kSetMask;
		raisePin();
	}
	return 0;
}

/* VFIOUSER-IRQ-7. Called with mutex_ held. */
void Interrupts::raisePin() noexcept
{
	if (!pinAsserted_ || pinMasked_ || !vectors_[kIrqIntx][0])
		return;
	pinMasked_ = true;
	raise(vectors_[kIrqIntx][0]);
}

void Interrupts::pinChanged(bool asserted) noexcept
{
	std::lock_guard lock(mutex_);

	pinAsserted_ = asserted;
	raisePin();
}

int Interrupts::trigger(const IrqSet &request, std::span<const std::byte> data)
{
	std::lock_guard lock(mutex_);

	for (uint32_t i = 0; i < request.count; i++)
		if (data.empty() || data[i] != std::byte{0})
			raise(vectors_[request.index][request.start + i]);
	return 0;
}

/*
 * VFIOUSER-IRQ-4. The client uses either MSI or MSI-X. It removes the eventfds of one kind before
 * it sets those of the other.
 */
void Interrupts::signal(unsigned vector) noexcept
{
	std::lock_guard lock(mutex_);

	for (const uint32_t index : {kIrqMsix, kIrqMsi})
		if (vector < vectors_[index].size() && vectors_[index][vector]) {
			raise(vectors_[index][vector]);
			return;
		}
}

} // namespace wd::vfio_user
