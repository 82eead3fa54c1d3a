/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file of guest memory, mapped once. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace wd::vfio_user
{

/** Immutable after construction; unmaps when destroyed. */
class MappedFile
{
public:
	/** Identity and size of a file. */
	struct Identity {
		dev_t device = 0;
		ino_t inode = 0;
		uint64_t size = 0; /**< bytes */

		bool same(const Identity &other) const
		{
			return device == other.device && inode == other.inode;
		}
	};

	/**
	 * @throws std::system_error: invalid_argument (no regular file), operation_not_permitted
	 * (not sealed against shrinking, so that an access could end the process with SIGBUS).
	 */
	static Identity identify(int fd);

	/** @throws std::system_error with the errno of mmap(). */
	MappedFile(int fd, const Identity &identity, bool writable);
	~MappedFile();
	MappedFile(const MappedFile &) = delete;
	MappedFile &operator=(const MappedFile &) = delete;

	const Identity &identity() const { return identity_; }
	bool writable() const { return writable_; }
	std::byte *at(uint64_t offset) const { return base_ + offset; }

private:
	Identity identity_;
	bool writable_;
	std::byte *base_;
};

} // namespace wd::vfio_user
