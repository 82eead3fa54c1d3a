/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of a soak. A user is a process of the machine: it takes devices and memory, uses them, and
 * goes at any moment with everything still open. Errors are part of its life, since others take the
 * same devices and the machine sleeps, resets and takes devices away. These must never happen:
 * output that is wrong though its request succeeded, DMA to memory that is not mapped any more, a
 * request that never ends.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

struct wd_host;

namespace wd::soak
{

/** Bytes of memory that a user has for its devices. */
constexpr size_t kArena = 1 << 20;
/** No answer of a device or the kernel may take longer, even on a loaded machine. */
constexpr unsigned kPatienceSeconds = 600;

/** One user's view of the soak. Thread-bound, but for @stop. */
struct User {
	wd_host *host;
	std::mt19937_64 random;
	std::atomic<bool> &stop; /**< it was told to go, or is being killed */
	uint8_t *arena;		 /**< kArena zeroed bytes, page aligned */
	/** Things done that count, see kWorkNames. Other users of the kind count there, too. */
	std::atomic<uint64_t> &work;
	/** Reports a failure; the soak has failed. Thread-safe. */
	std::function<void(const std::string &)> fail;
	/** Lets the kernel compress pages of the arena, in the way of its host. */
	void (*useKernel)(User &user);

	/** In [0, @limit). */
	uint64_t below(uint64_t limit) { return random() % limit; }
	bool chance(unsigned percent) { return below(100) < percent; }
};

enum class Kind { AddressSpaces, AttachedQueue, SharedQueue, Owner, Nested, Kernel };
constexpr std::array<const char *, 6> kKindNames = {
	"address spaces", "attached queue", "shared queue", "owner", "nested", "kernel"};

/** The unit that a kind of users counts. */
constexpr std::array<const char *, kKindNames.size()> kWorkNames = {
	"mappings", "requests", "requests", "requests", "requests", "pages"};

/** The life of a user. Returns early if @user.stop is set. Its files stay open. */
void live(User &user, Kind kind);

/* Lives, each in a file of its own. */
void liveWithAddressSpaces(User &user);
void liveWithAttachedQueue(User &user);
void liveWithSharedQueue(User &user);
void liveAsOwner(User &user);
void liveNested(User &user);

} // namespace wd::soak
