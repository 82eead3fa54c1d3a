/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of a soak. A user is a process of the machine: it takes devices and memory, uses them, and
 * may end at any moment with everything still open. It expects errors, because other users take the
 * same devices, and the machine sleeps, resets devices and takes them away. But three things must
 * never happen: wrong output of a successful request, DMA to memory that is no longer mapped, and a
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

/** Bytes of memory that each user has for its devices. */
constexpr size_t kArena = 1 << 20;
/** No answer of a device or the kernel may take longer, even on a loaded machine. */
constexpr unsigned kPatienceSeconds = 600;

/** The soak as one user sees it. Thread-bound, except @stop. */
struct User {
	wd_host *host;
	std::mt19937_64 random;
	std::atomic<bool> &stop; /**< the user must end, or is being killed */
	uint8_t *arena;		 /**< kArena zeroed bytes, page aligned */
	/** Counts the work done, see kWorkNames. All users of the kind share it. */
	std::atomic<uint64_t> &work;
	/** Reports a failure; the soak has failed. Thread-safe. */
	std::function<void(const std::string &)> fail;
	/** Lets the kernel compress pages of the arena; each host has its own way. */
	void (*useKernel)(User &user);

	/** A random number in [0, @limit). */
	uint64_t below(uint64_t limit) { return random() % limit; }
	bool chance(unsigned percent) { return below(100) < percent; }
};

enum class Kind { AddressSpaces, AttachedQueue, SharedQueue, PinnedQueue, Owner, Nested, Kernel };
constexpr std::array<const char *, 7> kKindNames = {
	"address spaces", "attached queue", "shared queue", "pinned queue",
	"owner",	  "nested",	    "kernel"};

/** What each kind of users counts. */
constexpr std::array<const char *, kKindNames.size()> kWorkNames = {
	"mappings", "requests", "requests", "requests", "requests", "requests", "pages"};

/** Run a user. Returns early if @user.stop is set. Its files stay open. */
void live(User &user, Kind kind);

/* The kinds of users. Each is in a file of its own. */
void liveWithAddressSpaces(User &user);
void liveWithAttachedQueue(User &user);
void liveWithSharedQueue(User &user);
void liveWithPinnedQueue(User &user);
void liveAsOwner(User &user);
void liveNested(User &user);

} // namespace wd::soak
